"""An app that asks a service behind it; gunicorn and uvicorn drain by themselves on SIGTERM."""

import asyncio
import os
import urllib.request


def ask(path):
    with urllib.request.urlopen("http://" + os.environ["UPSTREAM"] + path) as answer:
        return answer.read()


def wsgi(environ, start_response):
    body = ask(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    body = await asyncio.to_thread(ask, scope["path"])
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})

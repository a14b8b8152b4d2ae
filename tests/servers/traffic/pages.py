"""A web server that asks a database for each page, on a connection of its own: pages.py PORT DSN"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2

_, port, dsn = sys.argv


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            connection = psycopg2.connect(dsn)
            with connection, connection.cursor() as cursor:
                cursor.execute("select 'served'")
                status, body = 200, cursor.fetchone()[0].encode()
            connection.close()
        except psycopg2.Error as error:
            status, body = 500, str(error).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(port)), Page).serve_forever()

//! What plays a sidecar: a server that answers as proxies in a pod do, well or badly.
//!
//!     proxy METHOD=IP:PORT/PATH=ANSWER[,ANSWER]...
//!         listens on each address, prints `serving`, then `METHOD PORT/PATH` for each request, and
//!         gives the first answer to the first request for that, the last to all that follow.
//!         Another path is answered with 404, another method with 405. An answer is
//!         a status; with a `!` after it, and then it ends, as a sidecar does that is asked to quit
//!         `interim`: 100 and 103, and then 200
//!         `bytes`: 200, one byte at a time
//!         `ready`: 200, as soon as stdin has had a line
//!         `mute`: nothing, ever
//!         `trickle`: a head that goes on and on
//!         `shut`: closes at once
//!         `cut`: half of a head
//!         `garbage`: no HTTP

use std::collections::HashMap;
use std::io::{Read, Write, stdin};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::exit;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{sleep, spawn};
use std::time::Duration;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

/// Between two bytes: a server that is slow, and not one that is dead.
const PACE: Duration = Duration::from_millis(10);

/// What is answered to one kind of request; the last stays.
type Answers = Vec<String>;

struct Proxy {
    /// By port, path and method.
    routes: Mutex<HashMap<(u16, String), HashMap<String, Answers>>>,
    is_ready: Mutex<bool>,
    ready: Condvar,
}

fn main() {
    // Not to outlive a test that somebody interrupts.
    set_pdeathsig(Signal::SIGKILL).expect("prctl");
    // Should nobody tell it to quit.
    nix::unistd::alarm::set(60);
    let mut routes: HashMap<_, HashMap<_, _>> = HashMap::new();
    let mut listeners: HashMap<SocketAddr, TcpListener> = HashMap::new();
    for word in std::env::args().skip(1) {
        let mut parts = word.split('=');
        let [method, place, answers] =
            [(); 3].map(|()| parts.next().expect("METHOD=IP:PORT/PATH=ANSWER").to_owned());
        let (address, path) = place.split_at(place.find('/').expect("a path"));
        let address: SocketAddr = address.parse().expect("an address");
        listeners.entry(address).or_insert_with(|| TcpListener::bind(address).expect(&word));
        let answers: Answers = answers.split(',').map(str::to_owned).collect();
        routes.entry((address.port(), path.to_owned())).or_default().insert(method, answers);
    }
    let proxy = Arc::new(Proxy {
        routes: Mutex::new(routes),
        is_ready: Mutex::new(false),
        ready: Condvar::new(),
    });
    println!("serving");
    for listener in listeners.into_values() {
        let proxy = proxy.clone();
        spawn(move || {
            for stream in listener.incoming().flatten() {
                let proxy = proxy.clone();
                spawn(move || proxy.serve(stream));
            }
        });
    }
    let line = stdin().read_line(&mut String::new());
    *proxy.is_ready.lock().expect("a lock") = line.is_ok_and(|length| length > 0);
    proxy.ready.notify_all();
    loop {
        std::thread::park();
    }
}

impl Proxy {
    fn serve(&self, mut stream: TcpStream) {
        let Some((method, path)) = request(&mut stream) else { return };
        let port = stream.local_addr().expect("an address").port();
        println!("{method} {port}{path}");
        let answer = self.answer(&method, &(port, path));
        let done = match answer.as_str() {
            "interim" => stream.write_all(
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
                  HTTP/1.1 200 OK\r\n\r\n",
            ),
            "bytes" => "HTTP/1.1 200 OK\r\nServer: slow\r\n\r\n".bytes().try_for_each(|byte| {
                // How slow it is.
                sleep(PACE);
                stream.write_all(&[byte])
            }),
            "ready" => {
                let is_ready = self.is_ready.lock().expect("a lock");
                let wait = self.ready.wait_while(is_ready, |is_ready| !*is_ready);
                drop(wait.expect("a lock"));
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")
            }
            // Until the other end closes.
            "mute" => stream.read(&mut [0]).map(drop),
            "trickle" => {
                let mut head = b"HTTP/1.1 200 OK\r\n".iter().chain(b"X: ".iter().cycle());
                head.try_for_each(|byte| {
                    // How slow it is.
                    sleep(PACE);
                    stream.write_all(&[*byte])
                })
            }
            "shut" => Ok(()),
            "cut" => stream.write_all(b"HTTP/1.1 200 OK\r\nServer: c"),
            "garbage" => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
            status => {
                let status = status.trim_end_matches('!');
                // Who follows a redirect asks again here.
                let head = format!("HTTP/1.1 {status} As Asked\r\nLocation: /elsewhere\r\n\r\n");
                stream.write_all(head.as_bytes())
            }
        };
        // Whoever asked may have given up.
        drop(done);
        if answer.ends_with('!') {
            drop(stream);
            exit(0);
        }
    }

    fn answer(&self, method: &str, place: &(u16, String)) -> String {
        let mut routes = self.routes.lock().expect("a lock");
        let Some(methods) = routes.get_mut(place) else { return "404".into() };
        let Some(answers) = methods.get_mut(method) else { return "405".into() };
        match answers.as_slice() {
            [last] => last.clone(),
            _ => answers.remove(0),
        }
    }
}

/// The method and the path; nothing where it is no request.
fn request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut head = Vec::new();
    loop {
        let mut bytes = [0; 1024];
        match stream.read(&mut bytes) {
            Ok(length) if length > 0 => head.extend_from_slice(&bytes[..length]),
            _ => return None,
        }
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        if request.parse(&head).ok()?.is_complete() {
            return Some((request.method?.to_owned(), request.path?.to_owned()));
        }
    }
}

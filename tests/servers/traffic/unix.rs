//! Unix sockets: those that another container reaches, and those that nobody does.

use super::*;
use crate::load::under_load;
use crate::network::Network;

const PHP: &str = "[global]
error_log = /dev/stderr
daemonize = no
[www]
listen = /mnt/volume/php.sock
listen.mode = 0666
pm = static
pm.max_children = 2
pm.status_path = /status
pm.status_listen = 127.0.0.1:9001
user = nobody
group = nogroup
";

const PAGE: &str = "<?php header('Content-Length: 6'); echo 'served';";

/// In a container of its own, which shares a volume with PHP.
const NGINX: &str = "daemon off; user root; pid nginx.pid; error_log stderr; events {}
http {
    access_log off;
    server {
        listen 127.0.0.1:8080;
        location / {
            fastcgi_pass unix:VOLUME/php.sock;
            fastcgi_param REQUEST_METHOD GET;
            fastcgi_param SCRIPT_FILENAME /mnt/page.php;
        }
    }
}
";

#[test]
#[ignore = "needs root and Debian's php8.2-fpm and nginx-light: cargo test --test servers -- --ignored"]
fn php_fpm_on_a_shared_volume_is_held_to_the_end() {
    Network::new().within(|| {
        let folder = Folder::new();
        let volume = folder.path("").display().to_string();
        let init = init(
            "printf %s \"$PHP\" >php.conf; printf %s \"$PAGE\" >page.php; chmod 755 .; \
             mkdir volume; mount --bind \"$VOLUME\" volume",
        );
        let init = init.variable("PHP", PHP).variable("PAGE", PAGE).variable("VOLUME", &volume);
        let init = init.options("--log-format json --rewrite TERM:QUIT").options(TO_MAX);
        let run = init.app(["php-fpm8.2", "--fpm-config", "/mnt/php.conf"]);
        folder.file("nginx.conf", NGINX.replace("VOLUME", &volume), 0o644);
        let nginx = pid1().app(["nginx", "-e", "stderr", "-p", &volume, "-c", "nginx.conf"]);
        until_serves(&nginx, 8080);
        let (began_at, tally) = under_load(port(8080), &[(PACE, true)], |_| {
            let began_at = hold(&run);
            wait_until(began_at + Duration::from_millis(2700));
            began_at
        });
        assert_eq!(tally.lost(), 0, "{tally:?}");
        assert!(run.hears(FORWARDED).at >= began_at + Duration::from_millis(2900));
        let report = report(run, "delay");
        let because = report["traffic"]["unseen_because"].as_str().unwrap_or_default();
        assert!(because.contains("/mnt/volume/php.sock"), "{report}");
    });
}

/// They hold no worker that listens on nothing.
#[test]
#[ignore = "needs root: cargo test --test servers -- --ignored"]
fn sockets_of_a_workers_own_keep_no_hold() {
    at_once(["manager", "forkserver", "statsd"], |what| {
        Network::new().within(|| {
            // A folder on the container's own root.
            let init = pid1().variable("TMPDIR", "/var/tmp").options("--log-format json");
            let run = init.options("--delay 0s..5s").app(python("worker.py", what));
            run.hears("ready");
            hold(&run);
            let report = report(run, "quiet");
            assert_eq!(report["traffic"]["ports"], serde_json::json!([]), "{what}: {report}");
            assert!(number(&report, "held_ms") < 1000, "{what}: {report}");
        });
    });
}

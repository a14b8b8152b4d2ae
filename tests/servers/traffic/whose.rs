//! Whose ports are the app's, where its init may not look into all of its processes.

use super::*;
use crate::load::under_load;
use crate::network::Network;

/// What Docker gives a container by default: SYS_PTRACE is not among it.
const DOCKERS: &str = "--bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,\
                       +net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap";

/// nginx with a root master, and workers of another user.
const NGINX: &str = "daemon off; user www-data; pid nginx.pid; error_log stderr; events {} \
                     http { access_log off; server { listen 127.0.0.1:8080; root .; } }";

/// A server of another user in the same network, as a proxy in a pod, whom somebody asks often.
const NEIGHBOUR: &str = "setpriv --reuid=1337 --regid=1337 --clear-groups \
                         /usr/bin/python3 -m http.server --bind 127.0.0.1 15021";

/// The hold of an app ends when its own clients have gone, whatever such a neighbour is asked.
fn is_alone_with_its_clients(app: &str) {
    Network::new().within(|| {
        let mut init = init("printf %s \"$FILE\" >nginx.conf; echo page >index.html; chmod 755 .");
        init = init.variable("FILE", NGINX);
        init.prelude.extend(["setpriv", DOCKERS, "--inh-caps=-all", "--"].map(Into::into));
        let neighbour = pid1().app(NEIGHBOUR.split_whitespace());
        until_serves(&neighbour, 15021);
        let run = serving(init, UNTIL_QUIET, app.split_whitespace().map(Into::into).collect());
        let probes = [(Duration::from_millis(200), false)];
        let (report, tally) = under_load(port(15021), &probes, |_| {
            let began_at = hold(&run);
            let (last_at, own) = under_load(port(8080), &[(PACE, false)], |_| {
                wait_until(began_at + Duration::from_millis(1200));
                Instant::now()
            });
            assert_eq!(own.lost(), 0, "{own:?}");
            assert!(run.hears(FORWARDED).at >= last_at + Duration::from_millis(900));
            report(run, "quiet")
        });
        assert_eq!(report["traffic"]["ports"], serde_json::json!([8080]), "{app}: {report}");
        assert!(number(&report, "traffic/with_data") > 10, "{app}: {report}");
        assert_eq!(tally.lost(), 0, "{tally:?}");
    });
}

#[test]
#[ignore = "needs root and Debian's haproxy and nginx-light: cargo test --test servers -- --ignored"]
fn a_neighbour_is_none_of_an_app_whose_workers_or_all_have_another_uid() {
    let binds_as_root = format!("haproxy -db -f {}", path("traffic/unprivileged.cfg").display());
    let apps = [
        &binds_as_root,
        "nginx -e stderr -p /mnt -c nginx.conf",
        // As gosu does.
        "setpriv --reuid=1000 --regid=1000 --clear-groups \
         /usr/bin/python3 -m http.server --bind 127.0.0.1 8080",
    ];
    at_once(apps, is_alone_with_its_clients);
}

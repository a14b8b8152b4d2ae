//! On which mount a path lies (proc_pid_mountinfo(5)), found without a touch of any other mount than
//! the root: one whose server has gone, as NFS, would not answer. No system call, no clock.

use std::mem::take;

/// How many symbolic links are followed: as many as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Where something is mounted in a mount namespace, but for the root.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mounts(Vec<Vec<u8>>);

impl Mounts {
    /// Parses a /proc/PID/mountinfo. A line that cannot be parsed is left out.
    pub fn parse(mountinfo: &[u8]) -> Mounts {
        let lines = mountinfo.split(|byte| *byte == b'\n');
        let points = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
        Mounts(points.map(unescape).filter(|point| point.as_slice() != b"/").collect())
    }

    /// Whether an absolute path lies on the root mount. What a symbolic link leads to is asked for
    /// while the way is on that mount, and is None for what is no link. Where the way does not come
    /// to an end, the answer is no.
    pub fn root_has(
        &self,
        path: &[u8],
        read_link: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
    ) -> bool {
        let (mut place, mut ahead, mut links) = (Vec::new(), Vec::new(), 0);
        go(path, &mut ahead);
        while let Some(name) = ahead.pop() {
            match name.as_slice() {
                b"." => continue,
                b".." => {
                    up(&mut place);
                    continue;
                }
                _ => {}
            }
            place.push(b'/');
            place.extend(name);
            if self.0.contains(&place) {
                return false;
            }
            let Some(target) = read_link(&place) else { continue };
            links += 1;
            if links > MAX_LINKS {
                return false;
            }
            match target.first() {
                Some(b'/') => drop(take(&mut place)),
                _ => up(&mut place),
            }
            go(&target, &mut ahead);
        }
        true
    }
}

/// Puts the names of a path in front of those that are ahead, of which the last comes first.
fn go(path: &[u8], ahead: &mut Vec<Vec<u8>>) {
    let names = path.rsplit(|byte| *byte == b'/').filter(|name| !name.is_empty());
    ahead.extend(names.map(<[u8]>::to_vec));
}

/// Takes the last name off a path.
fn up(place: &mut Vec<u8>) {
    let parent = place.iter().rposition(|byte| *byte == b'/');
    place.truncate(parent.unwrap_or(0));
}

/// A space, a tab, a line break and a backslash are three octal digits after a backslash (mangle in
/// the kernel's fs/proc_namespace.c).
fn unescape(field: &[u8]) -> Vec<u8> {
    let (mut plain, mut rest) = (Vec::new(), field);
    while let Some((first, after)) = rest.split_first() {
        let octal = |digits: &[u8]| {
            let digits = str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        };
        let escaped = after.get(..3).filter(|_| *first == b'\\').and_then(octal);
        plain.push(escaped.unwrap_or(*first));
        rest = after.get(if escaped.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    plain
}

#[cfg(any(fuzzing, test))]
pub mod fuzz;

#[cfg(test)]
mod tests;

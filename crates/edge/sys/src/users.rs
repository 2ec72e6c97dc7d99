//! Users and groups by name. Only the daemon looks them up; NSS may load anything.

use std::ffi::{CStr, CString};
use std::io;

/// One user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// All groups, the primary one included.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: String,
}

/// Bytes of the buffer for one entry of passwd or group; a group with many members needs the most.
const ENTRY_BYTES: usize = 64 * 1024;

/// A user by name or by number; None if there is no such user.
pub fn lookup(name_or_uid: &str) -> io::Result<Option<User>> {
    let mut buffer = vec![0i8 as libc::c_char; ENTRY_BYTES];
    let mut result = std::ptr::null_mut();
    // SAFETY: all pointers are to live memory of the stated sizes; the strings are copied before the buffer goes.
    unsafe {
        let mut entry: libc::passwd = std::mem::zeroed();
        let code = match name_or_uid.parse::<u32>() {
            Ok(uid) => libc::getpwuid_r(
                uid,
                &mut entry,
                buffer.as_mut_ptr(),
                buffer.len(),
                &mut result,
            ),
            Err(_) => {
                let Ok(name) = CString::new(name_or_uid) else {
                    return Ok(None);
                };
                libc::getpwnam_r(
                    name.as_ptr(),
                    &mut entry,
                    buffer.as_mut_ptr(),
                    buffer.len(),
                    &mut result,
                )
            }
        };
        if result.is_null() {
            return if code == 0 || code == libc::ENOENT {
                Ok(None)
            } else {
                Err(io::Error::from_raw_os_error(code))
            };
        }
        let mut groups = vec![0; 256];
        let mut count = groups.len() as i32;
        if libc::getgrouplist(entry.pw_name, entry.pw_gid, groups.as_mut_ptr(), &mut count) == -1 {
            groups.resize(count.max(0) as usize, 0);
            libc::getgrouplist(entry.pw_name, entry.pw_gid, groups.as_mut_ptr(), &mut count);
        }
        groups.truncate(count.max(0) as usize);
        let text = |pointer| CStr::from_ptr(pointer).to_string_lossy().into_owned();
        Ok(Some(User {
            name: text(entry.pw_name),
            uid: entry.pw_uid,
            gid: entry.pw_gid,
            groups,
            home: text(entry.pw_dir),
        }))
    }
}

/// A group's id by name or by number; None if there is no such group.
pub fn group(name_or_gid: &str) -> io::Result<Option<u32>> {
    if let Ok(gid) = name_or_gid.parse::<u32>() {
        return Ok(Some(gid));
    }
    let Ok(name) = CString::new(name_or_gid) else {
        return Ok(None);
    };
    let mut buffer = vec![0i8 as libc::c_char; ENTRY_BYTES];
    let mut result = std::ptr::null_mut();
    // SAFETY: as in `lookup`.
    unsafe {
        let mut entry: libc::group = std::mem::zeroed();
        let code = libc::getgrnam_r(
            name.as_ptr(),
            &mut entry,
            buffer.as_mut_ptr(),
            buffer.len(),
            &mut result,
        );
        if result.is_null() {
            return if code == 0 || code == libc::ENOENT {
                Ok(None)
            } else {
                Err(io::Error::from_raw_os_error(code))
            };
        }
        Ok(Some(entry.gr_gid))
    }
}

/// Becomes a user for good: groups, group, user. The process must have one thread, and be root.
pub fn become_user(user: &User) -> io::Result<()> {
    // SAFETY: three system calls on a list that lives; each is checked, in the order in which rights are lost.
    unsafe {
        if libc::setgroups(user.groups.len(), user.groups.as_ptr()) == -1
            || libc::setgid(user.gid) == -1
            || libc::setuid(user.uid) == -1
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The effective user id of this process.
pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_both_ways_and_nobody_else_by_accident() {
        let root = lookup("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(lookup("0").unwrap().unwrap().name, "root");
        assert_eq!(lookup("no-such-user-here").unwrap(), None);
        assert_eq!(group("root").unwrap(), Some(0));
    }
}

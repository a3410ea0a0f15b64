//! Which directories are taken, and what becomes of the code in them.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::*;
use crate::plugin::{Compiler, Limits, Loader, Request, guests};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn refusal(dir: &Path, root: &Path) -> String {
    let error = CacheDir(dir.to_owned()).open().err().expect("it is refused").advice().to_string();
    error.replace(&fs::canonicalize(root).unwrap().display().to_string(), "DIR")
}

fn open(dir: &Path) -> Cache {
    CacheDir(dir.to_owned()).open().unwrap()
}

/// Loads a guest, as a start does, with the cache in `dir`. Whether its code was there already.
fn was_there(dir: &Path, guest: &str) -> bool {
    let files = tempfile::tempdir().unwrap();
    fs::write(files.path().join("guest"), guests::component(guest)).unwrap();
    let before = stamps(dir);
    let mut loader = Loader::new(Compiler::default(), Some(CacheDir(dir.to_owned())));
    let request = Request {
        config: "config",
        name: "guest",
        file: Path::new("guest"),
        places: &[files.path()],
        held: None,
        pin: None,
        settings: "{}",
        data: &[],
        limits: Limits::default(),
    };
    let mut plugin = loader.load(&request).unwrap();
    assert!(plugin.decoder().is_ok(), "{guest} starts");
    before == stamps(dir)
}

/// The files in a directory by what a write would change: an entry is never written in place.
fn stamps(dir: &Path) -> Vec<(PathBuf, u64)> {
    let all = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = all.map(|path| (path.clone(), look(&path).unwrap().ino())).collect();
    all.sort_unstable();
    all
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let all = stamps(dir).into_iter().map(|(path, _)| path);
    all.filter(|path| path.extension().is_some_and(|end| end == ENTRY)).collect()
}

#[test]
fn the_flag_counts_before_systemd() {
    let chosen = |flag: Option<&str>, systemd: Option<&str>| {
        let dir = CacheDir::chosen(flag.map(OsStr::new), systemd.map(OsStr::new));
        dir.map(|dir| dir.path().to_str().unwrap().to_owned())
    };
    assert_eq!(chosen(None, None), None);
    assert_eq!(chosen(Some("/a"), Some("/b")).as_deref(), Some("/a"));
    assert_eq!(chosen(Some("a:b"), None).as_deref(), Some("a:b"));
    assert_eq!(chosen(None, Some("/var/cache/x:/var/cache/y")).as_deref(), Some("/var/cache/x"));
    assert_eq!(chosen(Some(""), Some("/b")), None);
    assert_eq!(chosen(None, Some("")), None);
}

#[test]
fn code_is_compiled_once() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("new/cache");
    assert!(!was_there(&dir, "echo"));
    assert!(was_there(&dir, "echo"));
    assert!(!was_there(&dir, "late"), "another component");
    assert!(was_there(&dir, "echo"));
    assert_eq!(look(&dir).unwrap().mode() & 0o777, 0o700);
    for (path, _) in stamps(&dir) {
        assert_eq!(look(&path).unwrap().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_flipped_bit_is_a_miss_and_a_clean_start() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    assert!(!was_there(dir, "echo"));
    let [entry] = &*entries(dir) else { panic!("one entry") };
    let whole = fs::read(entry).unwrap();
    // Places all over the file, the same at every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..60 {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let bit = (state >> 16) as usize % (whole.len() * 8);
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(entry, &damaged).unwrap();
        assert!(!was_there(dir, "echo"), "round {round}, bit {bit}");
        assert!(was_there(dir, "echo"), "round {round}, bit {bit}");
    }
}

#[test]
fn what_is_not_as_it_was_written_is_a_miss_and_written_anew() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path();
    assert!(!was_there(dir, "echo"));
    let [entry] = &*entries(dir) else { panic!("one entry") };
    let whole = fs::read(entry).unwrap();
    let elsewhere = dir.join("elsewhere");
    fs::write(&elsewhere, &whole).unwrap();
    mode(&elsewhere, 0o600);
    let remove = || fs::remove_file(entry).unwrap();
    let cases: [(&str, &dyn Fn()); 9] = [
        ("nothing", &|| fs::write(entry, b"").unwrap()),
        ("cut short", &|| fs::write(entry, &whole[..whole.len() / 2]).unwrap()),
        ("only the hash", &|| fs::write(entry, &whole[..MAGIC.len() + HASH]).unwrap()),
        ("more behind it", &|| fs::write(entry, [&whole[..], b"x"].concat()).unwrap()),
        ("another version", &|| fs::write(entry, [b"ewecode0", &whole[8..]].concat()).unwrap()),
        ("for others to write", &|| mode(entry, 0o606)),
        ("a link", &|| {
            remove();
            symlink(&elsewhere, entry).unwrap();
        }),
        ("a second name", &|| {
            remove();
            fs::hard_link(&elsewhere, entry).unwrap();
        }),
        ("a directory", &|| {
            remove();
            fs::create_dir(entry).unwrap();
        }),
    ];
    for (what, damage) in cases {
        damage();
        assert!(!was_there(dir, "echo"), "{what}");
        assert!(was_there(dir, "echo"), "{what}");
        assert!(look(entry).unwrap().is_file(), "{what}");
        assert_eq!(look(entry).unwrap().mode() & 0o777, 0o600, "{what}");
    }
}

#[test]
fn an_entry_is_one_names_and_one_directorys() {
    let root = tempfile::tempdir().unwrap();
    let (one, other) = (root.path().join("one"), root.path().join("other"));
    assert!(!was_there(&one, "echo"));
    let [entry] = &*entries(&one) else { panic!("one entry") };
    // Another component's name.
    assert!(!was_there(&one, "late"));
    let [first, second] = &*entries(&one) else { panic!("two entries") };
    let late = if first == entry { second } else { first };
    fs::copy(entry, late).unwrap();
    assert!(!was_there(&one, "late"));
    // Another directory, with another secret.
    assert!(!was_there(&other, "echo"));
    fs::copy(entry, other.join(entry.file_name().unwrap())).unwrap();
    assert!(!was_there(&other, "echo"));
    assert!(was_there(&other, "echo"));
}

#[test]
fn a_secret_that_others_read_is_made_anew() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(SECRET);
    let cache = open(root.path());
    cache.write("a.code", b"content").unwrap();
    assert_eq!(open(root.path()).read("a.code").as_deref(), Some(&b"content"[..]));
    let cases: [&dyn Fn(); 3] =
        [&|| mode(&path, 0o644), &|| fs::write(&path, b"short").unwrap(), &|| {
            fs::remove_file(&path).unwrap()
        }];
    for damage in cases {
        let before = open(root.path());
        before.write("a.code", b"content").unwrap();
        damage();
        let after = open(root.path());
        assert_eq!(after.read("a.code"), None);
        assert_ne!(before.secret, after.secret);
        assert_eq!(look(&path).unwrap().mode() & 0o777, 0o600);
    }
}

#[test]
fn what_was_used_longest_ago_makes_room() {
    let root = tempfile::tempdir().unwrap();
    let cache = open(root.path());
    let now = SystemTime::now();
    let put = |name: &str, size: u64, age: u64| {
        let file = File::create(root.path().join(name)).unwrap();
        file.set_len(size).unwrap();
        file.set_modified(now - Duration::from_secs(age)).unwrap();
    };
    put("new.code", MOST / 2, 10);
    put("old.code", MOST / 2, 1000);
    put("oldest.code", 1, 2000);
    put("1-1.new", 1, 7200);
    put("2-1.new", 1, 10);
    put("strange", MOST, 9999);
    cache.write("mine.code", b"content").unwrap();
    let mut left: Vec<_> =
        fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort_unstable();
    assert_eq!(left, ["2-1.new", "mine.code", "new.code", "oldest.code", "secret", "strange"]);
}

#[test]
fn what_others_may_write_is_not_taken() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("above/cache");
    fs::create_dir_all(&dir).unwrap();
    mode(&dir, 0o775);
    insta::assert_snapshot!(refusal(&dir, root.path()), @"compiled code is not kept: others may write DIR/above/cache, and could have the exporter run code of theirs; take that from them (chmod go-w)");
    // Sticky helps those below it only.
    mode(&dir, 0o1777);
    assert!(refusal(&dir, root.path()).contains("others may write DIR/above/cache,"));
    mode(&dir, 0o755);
    mode(dir.parent().unwrap(), 0o757);
    assert!(refusal(&dir, root.path()).contains("others may write DIR/above,"));
    mode(dir.parent().unwrap(), 0o1757);
    assert!(CacheDir(dir.clone()).open().is_ok());
}

#[test]
fn what_belongs_to_others_is_not_taken() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("cache");
    fs::create_dir(&dir).unwrap();
    let wanted = std::env::var_os("CI").is_some();
    if let Err(error) = chown(&dir, Some(12345), None) {
        assert!(!wanted, "only root can give files away: {error}");
        eprintln!("what_belongs_to_others_is_not_taken: SKIPPED, only root can give files away");
        return;
    }
    insta::assert_snapshot!(refusal(&dir, root.path()), @"compiled code is not kept: DIR/cache belongs to the user 12345, who could have it run code of theirs; give it to root or to who the exporter runs as");
}

#[test]
fn what_cannot_be_used_is_told_and_plugins_are_compiled() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    insta::assert_snapshot!(refusal(&file, root.path()), @"failed to use DIR/file for compiled code: file exists; make it a directory that the exporter may write");
    for dir in [&*file, Path::new("/proc/ebpf_wasm_exporter")] {
        // Nothing can be made in /proc, whoever one is.
        assert!(was_there(dir, "echo"), "nothing is written");
    }
}

//! What becomes of files that are replaced, missing, too large, or no files, and what guests are given of
//! them.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::decode::{Decoder, Outcome};
use crate::plugin::{Limits, Loader, Plugin, Request, guests};

/// A directory with files that a plugin reads.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replaces a file as people should.
    fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.at("new"), content).unwrap();
        fs::rename(self.at("new"), self.at(name)).unwrap();
    }

    fn plan(&self, name: &str) -> DataPlan {
        DataPlan {
            name: "data".to_owned(),
            unnamed: false,
            path: "plugins.zone.data".to_owned(),
            file: self.at(name),
            refresh: Duration::from_secs(10),
            size: 1 << 20,
        }
    }

    /// The files of a plugin that reads this one.
    fn open(&self, name: &str) -> DataFiles {
        DataFiles::open("config", "zone", &[self.plan(name)])
    }

    /// What a message says, wherever the directory is.
    fn said(&self, text: &str) -> String {
        text.replace(&self.0.path().display().to_string(), "DIR")
    }

    /// What is wrong with the one file.
    fn fault(&self, files: &DataFiles) -> String {
        let faults = files.faults(|path, error| format!("{path}: {}", error.advice()));
        self.said(&faults.join("\n"))
    }
}

impl DataFiles {
    /// Looks at its one file; whether that is another matter than before.
    fn again(&self) -> bool {
        self.look(&self.files[0]).is_some()
    }

    fn content(&self) -> Option<(u64, String)> {
        match self.read("data", None) {
            DataReading::Changed(DataContent { version, bytes }) => {
                Some((version, String::from_utf8_lossy(&bytes).into_owned()))
            }
            _ => None,
        }
    }
}

#[test]
fn a_version_is_another_content_and_not_another_file() {
    let folder = Folder::new();
    folder.put("pods", "one");
    let files = folder.open("pods");
    assert_eq!(files.content(), Some((1, "one".to_owned())));
    for (content, version) in [("one", 1), ("two", 2), ("two", 2), ("one", 3)] {
        folder.put("pods", content);
        assert!(!files.again(), "nothing is wrong");
        assert_eq!(files.content(), Some((version, content.to_owned())));
    }
    assert!(matches!(files.read("data", Some(3)), DataReading::Unchanged));
    assert!(matches!(files.read("data", Some(9)), DataReading::Changed(_)));
    assert!(matches!(files.read("pods", Some(3)), DataReading::Unnamed));
    let (_, stats) = files.stats().next().unwrap();
    assert_eq!((stats.bytes, stats.changes, stats.failures), (3, 3, 0));
    assert_eq!(files.changes(), 3);
}

#[test]
fn a_file_that_was_written_over_at_once_is_read_again() {
    let folder = Folder::new();
    folder.put("pods", "one");
    let files = folder.open("pods");
    for content in ["two", "six", "ten"] {
        // The same file, size, and for all that its times tell the same moment.
        fs::write(folder.at("pods"), content).unwrap();
        files.again();
        assert_eq!(files.content().unwrap().1, content);
    }
}

#[test]
fn a_file_that_rests_is_not_read_again() {
    let folder = Folder::new();
    folder.put("pods", "one");
    let is = fs::metadata(folder.at("pods")).unwrap();
    let stamp = Stamp::of(&is);
    let now = SystemTime::now();
    assert!(!stamp.is_settled(now), "it is new");
    assert!(stamp.is_settled(now + Stamp::UNSETTLED * 2));
    assert!(!stamp.is_settled(now - Stamp::UNSETTLED * 9), "a clock that was set back");
    let plan = folder.plan("pods");
    assert!(matches!(look(&plan, Some(stamp), None, now), Ok(Look::Same)));
    let later = look(&plan, None, Some(b"one"), now + Stamp::UNSETTLED * 2);
    assert!(
        matches!(later, Ok(Look::Read(FileRead { content: None, stamp: Some(found), .. })) if found == stamp)
    );
}

#[test]
fn what_cannot_be_read_stays_what_it_was() {
    let folder = Folder::new();
    let files = folder.open("pods");
    insta::assert_snapshot!(folder.fault(&files), @"plugins.zone.data: DIR/pods is not there; see to it that it comes; it is looked for every 10 s");
    assert!(matches!(files.read("data", None), DataReading::Unread));
    assert!(!files.again(), "it was said");
    folder.put("pods", "one");
    assert!(matches!(files.look(&files.files[0]), Some(News::Come)));
    assert_eq!(
        (files.content().unwrap().1, folder.fault(&files)),
        ("one".to_owned(), String::new())
    );
    type Spoil = fn(&Path);
    let spoils: [(Spoil, &str); 4] = [
        (|_| {}, "pods is not there"),
        (|file| mknodat(CWD, file, FileType::Fifo, Mode::RWXU, 0).unwrap(), "is no regular file"),
        (|file| fs::create_dir(file).unwrap(), "is a directory"),
        (|file| File::create(file).unwrap().set_len((1 << 20) + 1).unwrap(), "is too large"),
    ];
    for (spoil, said) in spoils {
        let _ = fs::remove_file(folder.at("pods"));
        spoil(&folder.at("pods"));
        assert!(files.again(), "{said}");
        assert!(!files.again(), "it is said once: {said}");
        assert!(folder.fault(&files).contains(said), "{}", folder.fault(&files));
        assert_eq!(files.content(), Some((1, "one".to_owned())));
        let _ = fs::remove_dir(folder.at("pods"));
    }
    let failures = files.stats().next().unwrap().1.failures;
    assert_eq!(failures, 2 + 4 * 2);
    folder.put("pods", "two");
    assert!(matches!(files.look(&files.files[0]), Some(News::Back)));
    assert_eq!(files.content(), Some((2, "two".to_owned())));
}

#[test]
fn a_file_that_grows_beyond_its_size_is_told_of_once() {
    let folder = Folder::new();
    let grow = |bytes| File::create(folder.at("pods")).unwrap().set_len(bytes).unwrap();
    grow((1 << 20) + 1);
    let files = folder.open("pods");
    grow((1 << 20) + 2);
    assert!(!files.again(), "it is the same fault");
    assert!(folder.fault(&files).contains("1048578 bytes"), "with the size that it has now");
    fs::remove_file(folder.at("pods")).unwrap();
    assert!(files.again(), "it is another fault");
}

#[test]
fn a_file_that_is_marked_as_still_right_is_no_change() {
    let folder = Folder::new();
    folder.put("pods", "one");
    let files = folder.open("pods");
    let modified = || files.stats().next().unwrap().1.modified;
    for seconds in [1_000_000_000, 1_000_000_010] {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::options().write(true).open(folder.at("pods")).unwrap().set_modified(time).unwrap();
        assert!(!files.again(), "nothing is wrong");
        assert_eq!((modified(), files.changes()), (Some(time), 1));
    }
    fs::remove_file(folder.at("pods")).unwrap();
    let before = modified();
    files.again();
    assert_eq!(modified(), before, "its content is still as old");
}

#[test]
fn each_fault_says_what_to_do() {
    let folder = Folder::new();
    let fault = |name: &str| {
        let files = folder.open(name);
        folder.fault(&files)
    };
    mknodat(CWD, folder.at("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    symlink("loop", folder.at("loop")).unwrap();
    symlink("../secret", folder.at("out")).unwrap();
    File::create(folder.at("large")).unwrap().set_len((1 << 20) + 1).unwrap();
    let torn = DataError::Torn { file: folder.at("pods") };
    let all = ["gone/pods", ".", "pipe", "large", "loop", "out"].map(fault).join("\n");
    insta::assert_snapshot!(all, @"
    plugins.zone.data: the directory of DIR/gone/pods is not there; make the directory first: an exporter that serves can read no other than those that were there at its start
    plugins.zone.data: DIR/. is a directory; put a regular file there
    plugins.zone.data: DIR/pipe is no regular file; put a regular file there
    plugins.zone.data: DIR/large is too large, with 1048577 bytes; shorten it, or raise its `size`
    plugins.zone.data: DIR/loop cannot be read: too many levels of symbolic links; let the user read it whom the exporter runs as, or becomes with --user
    plugins.zone.data: DIR/out is a link that leads out of its directory, or begins with `/`; name the file that it leads to in its place
    ");
    insta::assert_snapshot!(folder.said(&torn.advice().to_string()), @"DIR/pods was changed while it was read; write another file, and rename it to this one");
}

#[test]
fn the_only_file_is_what_is_asked_for_first() {
    let folder = Folder::new();
    folder.put("pods", "one");
    let unnamed = DataPlan { unnamed: true, ..folder.plan("pods") };
    let files = DataFiles::open("config", "zone", std::slice::from_ref(&unnamed));
    assert!(matches!(files.read("pods", None), DataReading::Changed(_)));
    assert!(matches!(files.read("zones", None), DataReading::Unnamed));
    assert!(matches!(files.read("pods", Some(1)), DataReading::Unchanged));
    // One that has a name has no other.
    let named = folder.open("pods");
    assert!(matches!(named.read("pods", None), DataReading::Unnamed));
    assert_eq!(named.nearest("datas"), Some("data"));
    assert_eq!(files.nearest("datas"), None);
}

/// Kubernetes links each file to one in `..data`, and has that name lead to another directory.
#[test]
fn directories_are_swapped_as_config_maps_are() {
    let folder = Folder::new();
    let publish = |version: &str, content: &str| {
        fs::create_dir(folder.at(version)).unwrap();
        fs::write(folder.at(version).join("pods"), content).unwrap();
        symlink(version, folder.at("..data_tmp")).unwrap();
        fs::rename(folder.at("..data_tmp"), folder.at("..data")).unwrap();
    };
    publish("..2026_1", "one");
    symlink("..data/pods", folder.at("pods")).unwrap();
    let files = folder.open("pods");
    assert_eq!(files.content(), Some((1, "one".to_owned())));
    publish("..2026_2", "two");
    fs::remove_dir_all(folder.at("..2026_1")).unwrap();
    assert!(!files.again());
    assert_eq!(files.content(), Some((2, "two".to_owned())));
    let within = |place: &Readable| matches!(place, Readable::Content(dir) if dir.starts_with(folder.0.path().canonicalize().unwrap()));
    assert!(files.readable().iter().all(within), "{:?}", files.readable());
}

#[test]
fn a_link_out_of_the_directory_gives_nothing_away() {
    let (folder, other) = (Folder::new(), Folder::new());
    other.put("secret", "secret");
    let own = [Readable::Content(folder.0.path().canonicalize().unwrap())];
    // As it was at the start, and as it is later.
    for target in [other.at("secret"), Path::new("..").join("secret")] {
        symlink(&target, folder.at("pods")).unwrap();
        let files = folder.open("pods");
        assert_eq!((files.content(), &*files.readable()), (None, &own[..]), "{target:?}");
        fs::remove_file(folder.at("pods")).unwrap();
    }
    folder.put("pods", "one");
    let files = folder.open("pods");
    fs::remove_file(folder.at("pods")).unwrap();
    symlink(other.at("secret"), folder.at("pods")).unwrap();
    assert!(files.again());
    assert_eq!(files.content(), Some((1, "one".to_owned())));
    insta::assert_snapshot!(folder.fault(&files), @"plugins.zone.data: DIR/pods is a link that leads out of its directory, or begins with `/`; name the file that it leads to in its place");
}

#[test]
fn the_directories_of_files_are_to_be_readable() {
    let folder = Folder::new();
    let own = [Readable::Content(folder.0.path().canonicalize().unwrap())];
    assert_eq!(folder.open("gone").readable(), own);
    assert_eq!(folder.open("gone/pods").readable(), [], "it is not there");
    symlink(".", folder.at("here")).unwrap();
    assert_eq!(folder.open("here/pods").readable(), own, "it is known by its own name");
}

#[test]
fn nobody_is_served_with_all_of_the_root_readable() {
    let folder = Folder::new();
    symlink("/", folder.at("root")).unwrap();
    let up = "../".repeat(folder.0.path().components().count());
    for name in ["/pods", "root/pods", &format!("{up}pods"), "/tmp/../pods"] {
        let said = folder.open(name).misplaced(|path, error| format!("{path}: {}", error.advice()));
        let file = folder.at(name).display().to_string();
        assert_eq!(
            said.concat().replace(&file, "FILE"),
            "plugins.zone.data: FILE lies in `/`, all of which would be readable; put it into a directory of its own"
        );
    }
    assert_eq!(folder.open("pods").misplaced(|path, _| path.to_owned()), [""; 0]);
}

#[test]
fn a_thousand_changes_leave_nothing_behind() {
    let folder = Folder::new();
    folder.put("pods", "0");
    let files = folder.open("pods");
    let mut before = Vec::new();
    for n in 1..=1000 {
        let DataReading::Changed(content) = files.read("data", None) else { panic!("it is there") };
        before.push(Arc::downgrade(&content.bytes));
        drop(content);
        folder.put("pods", n.to_string());
        files.again();
    }
    assert_eq!(before.iter().filter(|bytes| bytes.strong_count() > 0).count(), 0);
    assert_eq!(files.content(), Some((1001, "1000".to_owned())));
}

/// A plugin that answers with what the file holds.
fn plugin(folder: &Folder, limits: Limits) -> Plugin {
    fs::write(folder.at("guest.wasm"), guests::component("data")).unwrap();
    let request = Request {
        config: "config",
        name: "zone",
        file: Path::new("guest.wasm"),
        places: &[folder.0.path()],
        held: None,
        pin: None,
        settings: "{}",
        data: &[folder.plan("pods")],
        limits,
    };
    Loader::default().load(&request).unwrap()
}

/// One with time enough on any machine.
fn patient() -> Limits {
    Limits { deadline: Duration::from_secs(10), ..Limits::default() }
}

fn answer(decoder: &mut dyn Decoder, input: &[u8]) -> String {
    let mut text = Vec::new();
    match decoder.decode(input, &mut text) {
        Ok(Outcome::Label) => String::from_utf8(text).unwrap(),
        Ok(outcome) => {
            let word = if outcome.leaves_out() { "drop" } else { "label" };
            let seconds = outcome.holds().map_or(0.0, |time| time.as_secs_f64().ceil());
            format!("{word} for {seconds} s")
        }
        Err(error) => format!("error: {}", error.text()),
    }
}

#[test]
fn a_guest_follows_the_file_and_is_asked_only_after_a_change() {
    let folder = Folder::new();
    let mut plugin = plugin(&folder, patient());
    assert!(plugin.inspection().reads_data());
    let (mut decoder, gauge) = (plugin.decoder().unwrap(), plugin.gauge());
    let files = Arc::clone(&plugin.shared.given.data);
    let mut ask = |input: &[u8]| answer(&mut *decoder, input);
    assert_eq!(ask(b"a"), "error: unread");
    for (content, expected, calls) in [
        ("web", "web", 2),
        ("web", "web", 2),
        ("-", "drop for 0 s", 3),
        ("~", "drop for 5 s", 4),
        ("db", "db", 5),
    ] {
        folder.put("pods", content);
        files.again();
        assert_eq!((ask(b"a"), ask(b"a")), (expected.to_owned(), expected.to_owned()));
        assert_eq!(gauge.read().calls, calls, "{content}");
    }
    let remembered = gauge.read().remembered;
    assert_eq!((remembered.entries, remembered.changed), (1, 0));
    fs::remove_file(folder.at("pods")).unwrap();
    files.again();
    assert_eq!((ask(b"a"), ask(b"b")), ("db".to_owned(), "db".to_owned()));
    assert_eq!(gauge.data_changes(), 4);
}

#[test]
fn memory_for_what_a_guest_reads_is_its_own() {
    let folder = Folder::new();
    let limits = Limits { memory: 192 << 10, ..patient() };
    folder.put("pods", vec![b'x'; 130 << 10]);
    let error = plugin(&folder, limits).decoder().err().unwrap();
    insta::assert_snapshot!(error.advice(), @"the plugin failed at its start: it wanted more memory than `limits.memory` allows; it was given 133120 bytes of data in that call; raise that limit, or use a plugin that wants less");
    folder.put("pods", "small");
    let mut plugin = plugin(&folder, limits);
    let (mut decoder, files) = (plugin.decoder().unwrap(), Arc::clone(&plugin.shared.given.data));
    folder.put("pods", vec![b'x'; 130 << 10]);
    files.again();
    assert_eq!(
        answer(&mut *decoder, b"a"),
        "error: it wanted more memory than `limits.memory` allows; it was given 133120 bytes of data in that call"
    );
    folder.put("pods", "back");
    files.again();
    assert_eq!(answer(&mut *decoder, b"b"), "back", "another instance sees it");
}

#[test]
fn time_for_what_a_guest_reads_is_its_own() {
    let folder = Folder::new();
    folder.put("pods", "web");
    let limits = Limits { deadline: Duration::from_millis(100), ..patient() };
    let mut plugin = plugin(&folder, limits);
    let (mut decoder, files) = (plugin.decoder().unwrap(), Arc::clone(&plugin.shared.given.data));
    folder.put("pods", "!ever");
    files.again();
    assert_eq!(
        answer(&mut *decoder, b"a"),
        "error: it ran longer than `limits.deadline` allows; it was given 5 bytes of data in that call"
    );
}

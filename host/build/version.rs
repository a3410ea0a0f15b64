//! What `--version` says beyond the number. The same source at the same revision gives the same
//! binary: the date is that of SOURCE_DATE_EPOCH, else of the revision, never of the clock. A
//! source tree without git builds as well, and says "unknown".

use std::env;
use std::path::Path;
use std::process::Command;

pub(crate) fn emit() {
    let epoch = told("SOURCE_DATE_EPOCH").or_else(|| git(&["show", "-s", "--format=%ct"]));
    let date = epoch.and_then(|text| text.parse().ok()).map(utc);
    let rustc = env::var("RUSTC").ok().and_then(|rustc| run(&rustc, &["--version"]));
    let rust = rustc.and_then(|line| line.split(' ').nth(1).map(str::to_owned));

    set(
        "BUILD_BRANCH",
        told("SOURCE_BRANCH").or_else(|| git(&["rev-parse", "--abbrev-ref", "HEAD"])),
    );
    set("BUILD_REVISION", told("SOURCE_REVISION").or_else(|| git(&["rev-parse", "HEAD"])));
    set("BUILD_DATE", date);
    set("BUILD_RUST", rust);
    set("BUILD_PLATFORM", platform());
    watch_revision();
}

/// `linux/x86_64`: that of the binary, which a cross build does not share with this script.
fn platform() -> Option<String> {
    let (os, arch) = ("CARGO_CFG_TARGET_OS", "CARGO_CFG_TARGET_ARCH");
    Some(format!("{}/{}", env::var(os).ok()?, env::var(arch).ok()?))
}

/// What the environment says, for a source tree that is built without git: in a container.
fn told(name: &str) -> Option<String> {
    println!("cargo:rerun-if-env-changed={name}");
    env::var(name).ok().filter(|text| !text.is_empty())
}

fn set(name: &str, value: Option<String>) {
    println!("cargo:rustc-env={name}={}", value.as_deref().unwrap_or("unknown"));
}

/// Has cargo come back here when another revision is checked out. Only files that exist are
/// named: cargo takes a missing one for a changed one, every time.
fn watch_revision() {
    let branch = git(&["symbolic-ref", "-q", "HEAD"]).unwrap_or_default();
    for name in ["HEAD", branch.as_str(), "packed-refs"] {
        let file = git(&["rev-parse", "--git-path", name]).unwrap_or_default();
        if Path::new(&file).is_file() {
            println!("cargo:rerun-if-changed={file}");
        }
    }
}

/// What git answers; nothing if this is not the top of its own git tree, so that a release
/// unpacked somewhere inside another project does not claim that project's revision.
fn git(arguments: &[&str]) -> Option<String> {
    if !Path::new("../.git").exists() {
        return None;
    }
    run("git", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// Seconds since 1970 as `2026-11-21T12:38:36Z`.
fn utc(epoch: u64) -> String {
    // Years that start in March have their leap day last, which makes months a plain division.
    let day = epoch / 86_400 + 719_468; // from 0000-03-01
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let leap_days = day_of_era / 1_460 + day_of_era / 146_096;
    let year_of_era = (day_of_era + day_of_era / 36_524 - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year_of_era + next_year;
    let (hour, minute, second) = (epoch / 3_600 % 24, epoch / 60 % 60, epoch % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

//! Which build this is: said by `--version`, by the landing page and by the build info metric.

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The git branch it was built from, `HEAD` if none was checked out, or `unknown`.
pub const BRANCH: &str = env!("BUILD_BRANCH");
/// The git revision it was built from, or `unknown`.
pub const REVISION: &str = env!("BUILD_REVISION");
/// `SOURCE_DATE_EPOCH`, else the date of the revision, as `YYYY-MM-DDTHH:MM:SSZ`, or `unknown`.
pub const DATE: &str = env!("BUILD_DATE");
/// The version of the compiler, or `unknown`.
pub const RUST: &str = env!("BUILD_RUST");

/// What follows the program's name and a comma in the answer to `--version`, in the layout that
/// Prometheus' own programs use.
pub const LONG: &str = concat!(
    "version ",
    env!("CARGO_PKG_VERSION"),
    " (branch: ",
    env!("BUILD_BRANCH"),
    ", revision: ",
    env!("BUILD_REVISION"),
    ")\n  build date:       ",
    env!("BUILD_DATE"),
    "\n  rust version:     ",
    env!("BUILD_RUST"),
    "\n  platform:         ",
    env!("BUILD_PLATFORM"),
);

//! Lists of trials: which there are, and which cannot do their work here.

use libtest_mimic::Trial;

/// The trials of the functions of a module, named as the functions are.
macro_rules! trials {
    ($module:ident: $($test:ident),+ $(,)?) => {
        [$(libtest_mimic::Trial::test(concat!(stringify!($module), "::", stringify!($test)), || {
            $module::$test();
            Ok(())
        })),+]
    };
}

/// In CI nothing is ignored: what cannot run fails.
pub fn ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| ci == "true")
}

/// Ignores a trial for these reasons, and says so.
pub fn unless(lacks: impl IntoIterator<Item = String>, trial: Trial) -> Trial {
    let reasons: Vec<String> = if ci() { Vec::new() } else { lacks.into_iter().collect() };
    if reasons.is_empty() {
        return trial;
    }
    eprintln!("{} is ignored: {}", trial.name(), reasons.join("; "));
    trial.with_ignored_flag(true)
}

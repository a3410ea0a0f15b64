//! Native histograms: whether one is asked for, and whether its buckets can be one.

use crate::config::buckets::{Buckets, Scale, native};
use crate::config::faults::Faults;
use crate::config::raw::Field;

/// What programs count that have buckets of this type.
pub(super) const NANOSECOND: f64 = 1e-9;

/// What to do with a multiplier of bounds that are in seconds.
pub(super) const IN_SECONDS: &str =
    "remove it, as their bounds are in seconds, and their programs count nanoseconds";

/// What a histogram without native buckets may become all the same.
const CONVERTED: &str = "have Prometheus make one of the classic buckets, with `convert_classic_histograms_to_nhcb: true`";

/// What of a histogram is shown to clients that know native ones.
pub(super) enum Shown {
    Classic,
    Native { classic: bool },
}

impl Shown {
    /// What `native` and `classic` say; `by_type` is what holds without `native`.
    pub(super) fn of(
        native: Field<bool>,
        classic: Field<bool>,
        by_type: bool,
        path: &str,
        faults: &Faults<'_>,
    ) -> Option<Self> {
        let or = |field, default| match field {
            Field::Absent => Some(default),
            Field::Faulty => None,
            Field::Given(value) => Some(value),
        };
        match (or(native, by_type)?, or(classic, true)?) {
            (true, classic) => Some(Self::Native { classic }),
            (false, true) => Some(Self::Classic),
            (false, false) => {
                let problem = "a histogram that is not native has no other buckets";
                let remedy = "remove it, or write `native: true` beside it";
                faults.error(&format!("{path}.classic"), problem, remedy);
                None
            }
        }
    }

    /// What these buckets are in a native histogram, if one is asked for; none if they cannot be one.
    pub(super) fn native(
        self,
        kind: &str,
        buckets: &Buckets,
        path: &str,
        faults: &Faults<'_>,
    ) -> Option<Option<native::Native>> {
        let Self::Native { classic } = self else { return Some(None) };
        let native = buckets.as_native(classic);
        if native.is_none() {
            let (problem, remedy) = match buckets.scale {
                Scale::Exp2 { .. } | Scale::Exp2Zero { .. } => (
                    format!(
                        "multiplied with {:e}, {kind} buckets do not end at powers of two, where those of native \
                         histograms do",
                        buckets.multiplier
                    ),
                    format!(
                        "multiply with a power of two, such as 0.0009765625, which is 2^-10; or count nanoseconds \
                         in `bucket_type: native`; or {CONVERTED}"
                    ),
                ),
                _ => (
                    format!("{kind} buckets do not double, as those of native histograms do"),
                    format!("count in `bucket_type: exp2` or `native`; or {CONVERTED}"),
                ),
            };
            faults.error(&format!("{path}.native"), problem, remedy);
        }
        native.map(Some)
    }
}

/// How fine the buckets are.
pub(super) fn schema(raw: Field<i128>, path: &str, faults: &Faults<'_>) -> Option<u8> {
    let finest = native::FINEST;
    if raw.is_absent() {
        let problem = "the native histogram has no bucket_schema";
        let remedy = format!("add `bucket_schema:`, from 0 to {finest}");
        faults.error(path, problem, remedy);
    }
    let value = raw.given()?;
    let schema = u8::try_from(value).ok().filter(|schema| *schema <= finest);
    if schema.is_none() {
        let problem = format!("buckets of schema {value} cannot be counted in");
        let remedy = format!(
            "write a number from 0, which doubles, to {finest}, which has eight buckets from a power of two to the next"
        );
        faults.error(&format!("{path}.bucket_schema"), problem, remedy);
    }
    schema
}

//! Whose the messages are: the attributes of a resource as the variables say them, the same for each signal.
//!
//! Says nothing that nobody has said but a name for the service. `telemetry.sdk.…` is not there, for no SDK makes the
//! messages.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

use super::variables::{Environment, decoded};
use crate::advice::Advice;

/// Whose all is that no config and no variable says it of.
const SERVICE: &str = "ebpf_exporter";
const SERVICE_NAME: &str = "service.name";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Whose messages are of which no config says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OtlpResource {
    service: String,
    /// Others than the service's name. Of those that have one name the last counts.
    attributes: Vec<(String, String)>,
}

impl Default for OtlpResource {
    /// That of who has set no variable.
    fn default() -> Self {
        Self { service: SERVICE.to_owned(), attributes: Vec::new() }
    }
}

impl OtlpResource {
    /// That which the variables name.
    ///
    /// # Errors
    ///
    /// When an attribute is none.
    pub(crate) fn read(environment: &Environment<'_>) -> Result<Self, Advice> {
        let said = environment.get(ATTRIBUTES).map(|said| attributes(said.text()));
        let mut attributes = said.transpose()?.unwrap_or_default();
        let named = attributes.iter().rfind(|(name, _)| name == SERVICE_NAME);
        let named = named.map(|(_, value)| value.clone()).filter(|value| !value.is_empty());
        attributes.retain(|(name, _)| name != SERVICE_NAME);
        let own = environment.get("OTEL_SERVICE_NAME").map(|said| said.text().to_owned());
        let service = own.or(named).unwrap_or_else(|| SERVICE.to_owned());
        Ok(Self { service, attributes })
    }

    /// The name of the service.
    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    /// The resource of a service, with these attributes where the variables have none of their names.
    pub(crate) fn of(&self, service: &str, usual: &[(&'static str, &str)]) -> Resource {
        let usual = usual.iter().map(|(name, value)| KeyValue::new(*name, (*value).to_owned()));
        let said = self.attributes.iter();
        let said = said.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let all = Resource::builder_empty().with_attributes(usual.chain(said));
        all.with_service_name(service.to_owned()).build()
    }
}

/// Pairs of `NAME=VALUE` with `,` between them, both as in a URL. They may hold secrets, so none is shown.
fn attributes(text: &str) -> Result<Vec<(String, String)>, Advice> {
    let all = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    all.enumerate()
        .map(|(n, pair)| {
            attribute(pair).ok_or_else(|| {
                let problem = format!("{ATTRIBUTES}: the attribute {} is none", n + 1);
                let remedy = "write NAME=VALUE, with `,` between attributes, and both as in a URL: %2C for a comma";
                Advice::new(problem, remedy)
            })
        })
        .collect()
}

fn attribute(pair: &str) -> Option<(String, String)> {
    let text = |text: &str| String::from_utf8(decoded(text.trim())?).ok();
    let (name, value) = pair.split_once('=')?;
    Some((text(name).filter(|name| !name.is_empty())?, text(value)?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::otlp::Signal;

    fn read(variables: &[(&str, &str)]) -> Result<OtlpResource, Advice> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        OtlpResource::read(&Environment::new(&get, Signal::Traces))
    }

    fn all(text: &str) -> BTreeMap<String, String> {
        let resource = read(&[(ATTRIBUTES, text)]).unwrap().of("us", &[("host.name", "here")]);
        resource.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn a_service_is_named_by_either_variable() {
        let service = |variables: &[(&str, &str)]| read(variables).unwrap().service().to_owned();
        let attributes = (ATTRIBUTES, "host.name=h, service.name = my%20own ,");
        assert_eq!(service(&[]), "ebpf_exporter");
        assert_eq!(service(&[attributes]), "my own");
        assert_eq!(service(&[attributes, ("OTEL_SERVICE_NAME", "x")]), "x");
        assert_eq!(service(&[(ATTRIBUTES, "service.name=")]), "ebpf_exporter");
        assert_eq!(service(&[(ATTRIBUTES, "service.name=a,service.name=b")]), "b");
    }

    #[test]
    fn attributes_are_as_in_a_url() {
        let expected = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            pairs.collect::<BTreeMap<_, _>>()
        };
        assert_eq!(all(""), expected(&[("host.name", "here"), ("service.name", "us")]));
        assert_eq!(
            all("a=b%2Cc,k8s.pod=x%20y, %C3%BC = 1=2%3D ,service.name=my%2Fsvc,host.name=there,e="),
            expected(&[
                ("a", "b,c"),
                ("e", ""),
                ("host.name", "there"),
                ("k8s.pod", "x y"),
                ("service.name", "us"),
                ("ü", "1=2="),
            ])
        );
        assert_eq!(all("a=1,a=2")["a"], "2");
    }

    #[test]
    fn slips_are_said() {
        let said = |text: &str| read(&[(ATTRIBUTES, text)]).unwrap_err().to_string();
        insta::assert_snapshot!(said("nonsense"), @"OTEL_RESOURCE_ATTRIBUTES: the attribute 1 is none; write NAME=VALUE, with `,` between attributes, and both as in a URL: %2C for a comma");
        for text in ["=x", "%20", "a=%zz", "a=%2", "a=%", "a=%ff", "%ff=a", "a=%+1"] {
            assert!(said(&format!("x=y,{text}")).contains("the attribute 2 is none"), "{text}");
        }
    }
}

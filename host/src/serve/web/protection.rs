//! What keeps others out, and whether a file that has changed takes any of it away.

use crate::advice::Advice;
use crate::config::web::{ClientAuth, WebPlan};

/// What keeps others out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Protection {
    /// None without TLS.
    pub(super) clients: Option<ClientAuth>,
    /// Whether clients need certain names.
    names: bool,
    users: bool,
}

impl Protection {
    /// That of a plan.
    pub(super) fn of(plan: &WebPlan) -> Self {
        let clients = plan.tls.as_ref().map(|tls| tls.clients);
        let names = plan.tls.as_ref().is_some_and(|tls| !tls.names.is_empty());
        Self { clients, names, users: !plan.users.is_empty() }
    }

    /// What of it another plan lacks, and what to do.
    pub(super) fn lost(self, plan: &WebPlan) -> Option<Advice> {
        let now = Self::of(plan);
        let problem = if self.clients.is_some() && now.clients.is_none() {
            "the exporter has started with TLS, and the file has no certificate now"
        } else if self.clients > now.clients && self.clients.is_some_and(ClientAuth::needs) {
            "the exporter has started with clients who need certificates, and the file asks for less now"
        } else if self.names && !now.names {
            "the exporter has started with names that clients need, and the file has none now"
        } else if self.users && !now.users {
            "the exporter has started with users, and the file has none now"
        } else {
            return None;
        };
        Some(Advice::new(problem, "restart it if it is to go without"))
    }
}

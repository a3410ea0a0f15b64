//! What keeps others out, and whether a file that has changed takes any of it away.

use crate::advice::Advice;
use crate::config::web::{ClientAuth, WebPlan};

/// What keeps others out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Protection {
    /// None without TLS.
    clients: Option<ClientAuth>,
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

    /// Whether there is TLS.
    pub(super) fn speaks_tls(self) -> bool {
        self.clients.is_some()
    }

    /// This one, and what a later plan adds. Where TLS was not spoken from the start it protects nobody later.
    pub(super) fn and(self, plan: &WebPlan) -> Self {
        let Self { clients, names, users } = Self::of(plan);
        Self {
            clients: self.clients.max(clients.filter(|_| self.speaks_tls())),
            names: self.names || (names && self.speaks_tls()),
            users: self.users || users,
        }
    }

    /// What of it another plan lacks, and what to do.
    pub(super) fn lost(self, plan: &WebPlan) -> Option<Advice> {
        let now = Self::of(plan);
        let problem = if self.clients.is_some() && now.clients.is_none() {
            "there was TLS, and the file has no certificate now"
        } else if self.clients > now.clients && self.clients.is_some_and(ClientAuth::needs) {
            "clients needed certificates, and the file asks for less now"
        } else if self.names && !now.names {
            "clients needed certain names, and the file has none now"
        } else if self.users && !now.users {
            "there were users, and the file has none now"
        } else {
            return None;
        };
        Some(Advice::new(problem, "restart the exporter if it is to go without"))
    }
}

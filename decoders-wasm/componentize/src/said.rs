//! What is said of a plugin, as it is typed.

use std::path::PathBuf;

use clap::Args;

use crate::error::ComponentizeError;
use crate::metadata::{LARGEST_SCHEMA, Metadata};

/// What is said of a plugin. What is left out stays what the file says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Said {
    /// What it is called
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,

    /// Its own version, such as 1.2.0
    #[arg(long, value_name = "TEXT")]
    pub version: Option<String>,

    /// What it does, in a sentence
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,

    /// Who wrote it
    #[arg(long, value_name = "TEXT")]
    pub author: Option<String>,

    /// Its licence, as an SPDX expression
    #[arg(long, value_name = "SPDX")]
    pub license: Option<String>,

    /// Where its source is
    #[arg(long, value_name = "URL")]
    pub source: Option<String>,

    /// Where to read about it
    #[arg(long, value_name = "URL")]
    pub homepage: Option<String>,

    /// Which revision of its source it was built of
    #[arg(long, value_name = "TEXT")]
    pub revision: Option<String>,

    /// File with the JSON Schema of its settings
    #[arg(long, value_name = "FILE")]
    pub settings_schema: Option<PathBuf>,
}

impl Said {
    /// It as metadata, with the schema read.
    ///
    /// # Errors
    ///
    /// When the schema cannot be read, or what is said cannot be.
    pub fn metadata(&self) -> Result<Metadata, ComponentizeError> {
        let texts = [
            ("name", &self.name),
            ("version", &self.version),
            ("description", &self.description),
            ("authors", &self.author),
            ("licenses", &self.license),
            ("source", &self.source),
            ("homepage", &self.homepage),
            ("revision", &self.revision),
        ];
        let mut metadata = Metadata::default();
        for (field, text) in texts {
            metadata.take(field, text.as_deref().unwrap_or_default().as_bytes())?;
        }
        if let Some(file) = &self.settings_schema {
            metadata.take("settings", &crate::read_most(file, LARGEST_SCHEMA)?)?;
        }
        Ok(metadata)
    }
}

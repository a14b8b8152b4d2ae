//! The options of reprieve-lint.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Parser, ValueEnum};

use crate::rules::{Level, RULES};

const ABOUT: &str = "\
Checks that what reprieve is told fits what the orchestrator allows, before it
is deployed. It reads Kubernetes manifests, Compose files, ECS task definitions
and Nomad jobs.";

const AFTER_HELP: &str = "\
Examples:
  reprieve-lint deploy/
  helm template . | reprieve-lint -
  kustomize build | reprieve-lint --format github -

A finding is silenced with a reason: by a comment on its line,
  # reprieve-lint: ignore does-not-fit: the app ends at once
or by an annotation of the pod (Compose: a label, ECS: a Docker label, Nomad: an
entry of meta),
  ignore.reprieve-lint/does-not-fit: the app ends at once

Exit codes: 0 nothing found, 1 something found that is at least as bad as
--fail-on, 2 an input cannot be read or the command line is wrong.";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "reprieve-lint",
    version,
    about = ABOUT,
    after_help = AFTER_HELP,
    override_usage = "reprieve-lint [OPTIONS] PATH..."
)]
pub struct Args {
    /// Files, folders, or - for standard input
    #[arg(value_name = "PATH", required_unless_present = "list")]
    pub paths: Vec<PathBuf>,
    /// How findings are written: text, json, sarif
    /// (2.1.0), or github (annotations)
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_possible_values = true)]
    pub format: Format,
    /// Exit with 1 where a finding is at least as bad:
    /// note, warning or error
    #[arg(verbatim_doc_comment)]
    #[arg(long, value_name = "LEVEL", default_value = "warning", hide_possible_values = true)]
    pub fail_on: Level,
    /// Check these rules alone; repeatable
    #[arg(long, value_name = "RULE[,RULE]", value_delimiter = ',', hide_possible_values = true)]
    #[arg(value_parser = ids())]
    pub only: Vec<String>,
    /// Leave these rules out; repeatable
    #[arg(long, value_name = "RULE[,RULE]", value_delimiter = ',', hide_possible_values = true)]
    #[arg(value_parser = ids())]
    pub ignore: Vec<String>,
    /// Print the rules, and check nothing
    #[arg(long)]
    pub list: bool,
}

fn ids() -> PossibleValuesParser {
    RULES.iter().map(|rule| rule.id).collect::<Vec<_>>().into()
}

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    Sarif,
    Github,
}

impl Args {
    /// Whether the rule of this id is to be checked.
    pub fn has(&self, id: &str) -> bool {
        let is_named = |list: &[String]| list.iter().any(|named| named == id);
        (self.only.is_empty() || is_named(&self.only)) && !is_named(&self.ignore)
    }
}

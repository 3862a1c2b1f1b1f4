//! Landlock: the kernel refuses this process, and all that come of it, files, TCP and signals other than the allowed ones.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::mode::Mode;
use super::root::DEVICES;
use crate::wire::Spec;

/// The newest interface that the rules below were written for.
const NEWEST: ABI = ABI::V7;

/// Confines this process, as far as the kernel can, and says which version of the interface it has.
///
/// # Errors
/// In words, where the kernel has no Landlock; nothing is confined then.
pub(super) fn confine(spec: &Spec, mode: &Mode) -> Result<u32, String> {
    restrict(spec, mode).map_err(|error| error.to_string())?.ok_or_else(|| "the kernel has no Landlock".to_string())
}

fn restrict(spec: &Spec, mode: &Mode) -> Result<Option<u32>, RulesetError> {
    let read = AccessFs::from_read(NEWEST);
    let readable: Vec<PathBuf> = if mode.namespaces { vec![PathBuf::from("/")] } else { spec.read_only.clone() };
    let mut writable = vec![mode.work.as_path(), mode.tmp.as_path()];
    if mode.namespaces {
        writable.push(Path::new("/dev/shm"));
    }
    // No devices can be made, and no device but the harmless ones is there to be controlled.
    let own = AccessFs::from_all(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(readable, read))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(writable, own))?
        .restrict_self()?;
    Ok(match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if status.ruleset != RulesetStatus::NotEnforced => {
            Some(effective_abi as u32)
        }
        _ => None,
    })
}

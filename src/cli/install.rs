//! `podvisor install`: copies this very binary into a folder. For init containers, whose image has no `cp`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::exit;

/// The name of the copy.
const NAME: &str = "podvisor";

/// `podvisor install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The folder, which is made if need be
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// Installs it.
pub fn run(args: &InstallArgs) -> u8 {
    match install(&args.dir) {
        Ok(path) => {
            println!("{}", path.display());
            exit::OK
        }
        Err(error) => {
            eprintln!(
                "podvisor: cannot install into {}: {error}",
                args.dir.display()
            );
            exit::FAILED
        }
    }
}

/// The copy is whole or not there: written under another name, then moved. So it may be done again over one that runs.
fn install(dir: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(dir)?;
    let to = dir.join(NAME);
    let new = dir.join(format!(".{NAME}-{}", std::process::id()));
    let written = write(&new).and_then(|()| fs::rename(&new, &to));
    if let Err(error) = written {
        let _ = fs::remove_file(&new);
        return Err(error);
    }
    // The name is to be there after a power loss too.
    File::open(dir)?.sync_all()?;
    Ok(to)
}

fn write(new: &Path) -> io::Result<()> {
    // Not by its path: it may have been replaced since it was started.
    let mut from = File::open("/proc/self/exe")?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o755);
    let mut to = options.open(new)?;
    io::copy(&mut from, &mut to)?;
    // The umask may have taken from the mode.
    to.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    to.sync_all()
}

//! `loadtest sharing`: what each way of sharing carts and sessions loses when nodes die (`kills`), and what it costs
//! (`costs`). Both start shops of their own.

mod costs;
mod kills;
pub(crate) mod options;

use crate::End;
use options::{SharingOptions, What};

pub(crate) async fn run(options: SharingOptions) -> anyhow::Result<End> {
    match options.what {
        What::Kills(options) => kills::run(options).await,
        What::Costs(options) => costs::run(options).await,
    }
}

//! Embedded photographs as one page that a browser opens without a network.
//!
//! [`Material`] says what is shown: embeddings with labels and names, clusters, numbers, curves. A [`Pictures`] lends the
//! photographs, small. [`Page::new`] computes the rest (a map of the embedding, the nearest photographs of each, what each
//! would be taken for) and [`Page::html`] writes it down with script, style and pictures inside.
//!
//! ```
//! use lodestone_eval::Rows;
//! use lodestone_report::{Look, Material, NoPictures, Page, Side};
//!
//! let values = [0.0, 0.1, 0.2, 0.0, 5.0, 5.1, 5.2, 5.0];
//! let names: Vec<String> = (1..=4).map(|n| format!("shelf/{n}.jpg")).collect();
//! let classes = ["cups".to_owned(), "plates".to_owned()];
//! let queries = Side::new(Rows::new(&values, 2).unwrap(), &[0, 0, 1, 1], &names)?;
//! let material = Material::new("The shelf", &classes, queries);
//! let page = Page::new(&material, &NoPictures, &Look::default())?;
//! assert!(page.html().starts_with("<!doctype html>"));
//! # Ok::<(), lodestone_report::ReportError>(())
//! ```
//!
//! | module | content |
//! |---|---|
//! | `material` | what is given |
//! | `answers` | nearest photographs and predicted classes |
//! | `map` | two coordinates for each photograph |
//! | `strips`, `confused` | which answers are worth looking at |
//! | `sheets` | many small photographs as few JPEG files |
//! | `curves` | the log of a run |
//! | `page` | all of it as HTML |

mod answers;
mod confused;
mod curves;
mod error;
mod map;
mod material;
mod page;
mod sheets;
mod strips;

pub use curves::Curve;
pub use error::ReportError;
pub use map::{Layout, map};
pub use material::{Cluster, Material, NoPictures, Pictures, Place, Side};
pub use page::{Look, Page};

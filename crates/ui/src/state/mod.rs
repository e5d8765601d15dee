//! What the views show, worked out without a browser, so that it is tested without one.

pub(crate) mod frames;
pub(crate) mod grid;
pub(crate) mod groups;
pub(crate) mod hexview;
pub(crate) mod kind;
pub(crate) mod outcome;
pub(crate) mod places;
pub(crate) mod route;
pub(crate) mod search;
pub(crate) mod wanted;
pub(crate) mod width;
pub(crate) mod words;

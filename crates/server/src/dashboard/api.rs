//! What the dashboard reads and writes, by the names that its document uses.

pub(crate) use super::act::{Changes, Done};
pub(crate) use super::charts::{From as TimelineFrom, Insights, Plans, Progress, Timeline};
pub(crate) use super::events::{After, Sent as StudyEvent, Standings};
pub(crate) use super::examples::{Page as ExamplePage, Wanted as WantedExamples, Which as WhichExample};
pub(crate) use super::playground::{Asked, Reply};
pub(crate) use super::studies::{List as StudyList, Study};
pub(crate) use super::trials::{
    Compared, OfTrial, One as OneTrial, Page as TrialPage, Two as TwoTrials, Wanted as WantedTrials,
};

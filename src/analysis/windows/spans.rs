//! Windows across functions: which reads under a caller's first call and which writes under its second belong together,
//! and when the second has looked for itself. Windows within one function are not its business.

use smallvec::SmallVec;

use super::activation::{Closed, Open, OpenSpan, Opens, Which};
use super::shadow::Past;
use super::{Now, in_task, is_container, kind_of};
use crate::analysis::definitions::{SPAN_DEPTH, Site};
use crate::event::{CodeId, KeyId, StackId};
use racetrace_probes::plan::WindowKind;

/// Is the access made under a call that a span begins or ends with, or is it such an end itself?
pub(super) fn concerns(now: &Now<'_>) -> bool {
    let entry = now.world.definitions(now.process).and_then(|definitions| definitions.stack(now.access.stack));
    entry.is_some_and(|entry| entry.in_span)
}

/// Remembers a read for the spans whose first call it is made under: if its value leaves the callee.
pub(super) fn open(now: &Now<'_>, site: &Site, open: &Open, own: bool, opens: &mut Opens) {
    let Some(definitions) = now.world.definitions(now.process) else { return };
    for (depth, (_, entry)) in definitions.walk(now.access.stack).take(SPAN_DEPTH + 1).enumerate() {
        let Some(caller) = definitions.site(entry.site) else { continue };
        for span in &caller.span_reads {
            let plan = definitions.span(caller.code, *span);
            let checks = plan.is_some_and(|span| span.kind == WindowKind::CheckThenAct);
            let direct = depth == 0 && plan.is_some_and(|span| !span.computed);
            if direct || (depth > 0 && (site.returns || (checks && site.checks))) {
                let (code, open) = (caller.code, open.clone());
                opens.open_span(OpenSpan { code, span: *span, below: entry.parent, open, own, looked: None });
            }
        }
    }
}

/// Remembers a check for the spans under whose second call it is made.
pub(super) fn look_again(now: &Now<'_>, site: &Site, look: &Open, opens: &mut Opens) {
    let Some(definitions) = now.world.definitions(now.process).filter(|_| site.checks || site.returns) else { return };
    for span in opens.spans_of(look.object, look.key) {
        let calls = definitions.walk(now.access.stack).take(SPAN_DEPTH + 1).skip(1);
        let mut callers = calls.filter_map(|(_, entry)| Some((definitions.site(entry.site)?, entry.parent)));
        if callers.any(|(site, below)| (site.code, below) == (span.code, span.below) && site.span_writes.contains(&span.span)) {
            span.looked = Some(look.past.clone());
        }
    }
}

/// Closes the spans whose second call this write is made under; not where the callee looks again before it writes.
pub(super) fn close(
    now: &Now<'_>,
    site: &Site,
    opens: &mut Opens,
    past: &Past,
    inner: &[WindowKind],
    fits: impl Fn(KeyId) -> bool,
    closed: &mut SmallVec<[Closed; 2]>,
) {
    let Some(definitions) = now.world.definitions(now.process) else { return };
    let ends: Vec<(CodeId, u16, StackId)> = definitions
        .walk(now.access.stack)
        .take(SPAN_DEPTH + 1)
        .enumerate()
        .filter_map(|(depth, (_, entry))| Some((depth, definitions.site(entry.site)?, entry.parent)))
        .flat_map(|(depth, site, below)| site.span_writes.iter().map(move |span| (depth, site.code, *span, below)))
        .filter(|(depth, code, span, _)| *depth > 0 || definitions.span(*code, *span).is_some_and(|span| !span.computed))
        .map(|(_, code, span, below)| (code, span, below))
        .collect();
    let mut taken: SmallVec<[(Which, WindowKind, OpenSpan); 4]> = SmallVec::new();
    for (code, index, below) in ends {
        let Some(span) = opens.take_span(code, index, below, now.access.object, &fits) else { continue };
        let which = Which::Span(code, index);
        taken.extend(kind_of(now, which).map(|kind| (which, kind, span)));
    }
    // Whoever has looked again has decided by that.
    let last_look = |open: &Open| {
        let checks = taken.iter().filter(|(_, kind, other)| *kind == WindowKind::CheckThenAct && other.open.key == open.key);
        checks.map(|(.., other)| other.open.past.sequence).max()
    };
    for (which, kind, span) in &taken {
        let open = &span.open;
        let checks = *kind == WindowKind::CheckThenAct;
        // Whether something was there says nothing about whether something may be added.
        let unrelated = is_container(now) && site.grows && !site.shrinks && definitions.tests_truth(open.past.site);
        let looks_again = unrelated || site.confirmed || inner.contains(kind);
        let one_function = open.past.stack == past.stack;
        let decided_later = || last_look(open) > Some(open.past.sequence) || span.has_looked(past, in_task(now));
        // Who has counted himself in and was or was not the first counts himself out later, from whatever number there is then.
        let counts_out = span.own && inner.contains(&WindowKind::ReadModifyWrite);
        let founded = checks && (open.claimed || counts_out || decided_later());
        if !looks_again && !one_function && !founded {
            closed.push(Closed::new(*which, open, past.clone(), false));
        }
    }
}

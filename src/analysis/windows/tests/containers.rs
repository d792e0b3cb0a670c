//! Items, whole containers, and what a change does to them.

use crate::analysis::litmus::*;
use crate::event::*;

fn scene(shape: Shape, plan: racetrace_probes::plan::Plan) -> (Litmus, Who, Who, CodeId, Var) {
    let mut t = Litmus::new();
    let main = t.main();
    let container = t.container(shape);
    let code = t.code("Shop.work", plan);
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    (t, a, b, code, container)
}

fn item(t: &mut Litmus, container: Var, key: &str) -> Var {
    t.part(container.object, key)
}

#[test]
fn check_and_pop_against_pop_is_a_race() {
    let (mut t, a, b, code, list) = scene(Shape::List, cta_by("self.plates", "pop"));
    t.read(a, code, list);
    t.at(b, code, WRITE, Action::Update, list, Value::Unknown);
    t.at(a, code, WRITE, Action::Update, list, Value::Unknown);
    t.is(&["check-then-act Shop.plates observed error"]);
}

#[test]
fn the_first_of_a_sequence_is_checked_and_then_taken_out() {
    let (mut t, a, b, code, deque) = scene(Shape::Deque, cta_by("self.due", "popleft"));
    let put = t.code(
        "Shop.put",
        racetrace_probes::plan::Plan { watches: vec![method(WRITE, "self.due", "append")], ..Default::default() },
    );
    let first = item(&mut t, deque, "0");
    t.read(a, code, first);
    t.at(b, put, WRITE, Action::Update, deque, Value::Unknown);
    t.at(a, code, WRITE, Action::Update, deque, Value::Unknown);
    assert!(t.verdicts().iter().all(|verdict| verdict.ends_with("note")), "{:?}", t.verdicts());
    t.read(a, code, first);
    t.at(b, code, WRITE, Action::Update, deque, Value::Unknown);
    t.at(a, code, WRITE, Action::Update, deque, Value::Unknown);
    t.is(&["check-then-act Shop.due observed error"]);
}

#[test]
fn one_consumer_among_producers_is_silent() {
    let (mut t, a, b, code, deque) = scene(Shape::Deque, cta_by("self.jobs", "popleft"));
    let put = t.code(
        "Shop.put",
        racetrace_probes::plan::Plan { watches: vec![method(WRITE, "self.jobs", "append")], ..Default::default() },
    );
    for _ in 0..2 {
        t.at(b, put, WRITE, Action::Update, deque, Value::Unknown);
        t.read(a, code, deque);
        t.at(b, put, WRITE, Action::Update, deque, Value::Unknown);
        t.at(a, code, WRITE, Action::Update, deque, Value::Unknown);
    }
    assert!(t.verdicts().iter().all(|verdict| verdict.ends_with("note")), "{:?}", t.verdicts());
}

#[test]
fn keyed_check_and_insert_is_a_race_on_the_same_key_only() {
    let (mut t, a, b, code, dict) = scene(Shape::Dict, cta("self.items[...]"));
    let (k, other) = (item(&mut t, dict, "'k'"), item(&mut t, dict, "'other'"));
    t.read(a, code, k);
    t.at(b, code, STORE, Action::Insert, other, Value::Int(1));
    t.at(a, code, WRITE, Action::Insert, k, Value::Int(1));
    t.is_silent();
    t.read(b, code, k);
    t.at(b, code, WRITE, Action::Insert, k, Value::Int(2));
    t.is(&["check-then-act Shop.items['k'] possible error"]);
}

#[test]
fn several_keys_are_one_finding() {
    let (mut t, a, b, code, dict) = scene(Shape::Dict, cta("self.items[...]"));
    for key in ["'k'", "'l'", "'m'"] {
        let key = item(&mut t, dict, key);
        t.read(a, code, key);
        t.read(b, code, key);
        t.at(a, code, WRITE, Action::Insert, key, Value::Int(1));
        t.at(b, code, WRITE, Action::Insert, key, Value::Int(2));
    }
    t.is(&["check-then-act Shop.items[...] observed error"]);
}

#[test]
fn equal_values_computed_twice_are_still_a_stampede() {
    let (mut t, a, b, code, dict) = scene(Shape::Dict, cta("self.items[...]"));
    let key = item(&mut t, dict, "'k'");
    t.read(a, code, key);
    t.read(b, code, key);
    t.at(a, code, WRITE, Action::Insert, key, Value::Int(1));
    t.at(b, code, WRITE, Action::Insert, key, Value::Int(1));
    t.is(&["check-then-act Shop.items['k'] observed error"]);
}

#[test]
fn deleting_what_another_inserts_is_silent() {
    let (mut t, a, b, code, dict) = scene(Shape::Dict, cta("self.items[...]"));
    let key = item(&mut t, dict, "'k'");
    let drop = t.code("Shop.drop", plain("self.items[...]"));
    t.at(b, drop, STORE, Action::Delete, key, Value::Unknown);
    t.read(a, code, key);
    t.at(a, code, WRITE, Action::Insert, key, Value::Int(1));
    t.at(b, drop, STORE, Action::Delete, key, Value::Unknown);
    assert!(t.verdicts().iter().all(|verdict| verdict.ends_with("note")), "{:?}", t.verdicts());
}

#[test]
fn an_item_taken_away_between_check_and_store_is_a_race() {
    let (mut t, a, b, code, dict) = scene(Shape::Dict, cta("self.items[...]"));
    let key = item(&mut t, dict, "'k'");
    let drop = t.code("Shop.drop", plain("self.items[...]"));
    t.read(a, code, key);
    t.at(b, drop, STORE, Action::Delete, key, Value::Unknown);
    t.at(a, code, WRITE, Action::Insert, key, Value::Int(1));
    t.is(&["check-then-act Shop.items['k'] observed error"]);
}

#[test]
fn a_whole_check_goes_with_an_insert_of_any_key() {
    let (mut t, a, b, code, dict) = scene(Shape::Dict, cta("self.items"));
    for who in [a, b] {
        t.read(who, code, dict);
        let key = item(&mut t, dict, &format!("'{}'", who.tid.0));
        t.at(who, code, WRITE, Action::Insert, key, Value::Int(1));
    }
    t.is(&["check-then-act Shop.items possible error"]);
}

#[test]
fn overwriting_an_item_does_not_disturb_a_check_of_the_size() {
    let (mut t, a, b, code, dict) = scene(Shape::Dict, cta("self.items"));
    let key = item(&mut t, dict, "'k'");
    t.read(a, code, dict);
    t.at(b, code, STORE, Action::Write, key, Value::Int(1));
    t.at(a, code, WRITE, Action::Update, dict, Value::Unknown);
    t.is_silent();
}

#[test]
fn clearing_a_dict_disturbs_the_update_of_an_item() {
    let (mut t, a, b, code, dict) = scene(Shape::Dict, rmw("self.items[...]"));
    let key = item(&mut t, dict, "'k'");
    t.read(a, code, key);
    t.at(b, code, STORE, Action::Replace, dict, Value::Unknown);
    t.at(a, code, WRITE, Action::Write, key, Value::Int(1));
    t.is(&["read-modify-write Shop.items['k'] observed error"]);
}

#[test]
fn appending_from_two_threads_is_a_note() {
    let plan = racetrace_probes::plan::Plan { watches: vec![method(WRITE, "self.rows", "append")], ..Default::default() };
    let (mut t, a, b, code, list) = scene(Shape::List, plan);
    for who in [a, b, a] {
        t.at(who, code, WRITE, Action::Update, list, Value::Unknown);
    }
    t.is(&["unordered-access Shop.rows possible note"]);
}

#[test]
fn a_set_is_named_without_its_element() {
    let (mut t, a, b, code, set) = scene(Shape::Set, latent_cta("self.seen"));
    let key = item(&mut t, set, "7");
    for who in [a, b] {
        t.read(who, code, key);
        t.at(who, code, WRITE, Action::Insert, key, Value::Unknown);
    }
    t.is(&["check-then-act Shop.seen latent warning"]);
}

#[test]
fn who_looks_for_the_same_element_of_a_list_later_might_have_added_it_too() {
    for same in [true, false] {
        let (mut t, a, b, code, list) = scene(Shape::List, cta_by("self.seen", "append"));
        let (added, other) = (item(&mut t, list, "7"), item(&mut t, list, "8"));
        t.read(a, code, added);
        t.at(a, code, WRITE, Action::Insert, list, Value::Unknown);
        t.read(b, code, if same { added } else { other });
        let races = t.verdicts().iter().filter(|verdict| *verdict == "check-then-act Shop.seen possible error").count();
        assert_eq!(races, usize::from(same), "{:?}", t.verdicts());
    }
}

#[test]
fn a_freed_container_leaves_nothing_behind() {
    let (mut t, a, b, code, list) = scene(Shape::List, rmw("self.plates"));
    t.both(a, code, list, 1);
    t.say(Tid(1), Event::ObjectEnd { id: list.object });
    t.both(b, code, list, 2);
    t.is_silent();
}

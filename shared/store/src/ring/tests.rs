//! The figures of product.md 4, printed as a table:
//! `cargo nextest run -p store --features logic/seeded-bugs -E 'test(the_ring_is_even)' --success-output immediate`

use super::*;

const KEYS: u64 = 60_000;
const SIZES: [usize; 6] = [2, 3, 5, 16, 64, 100];

fn member(number: usize) -> Member {
    Member { site: String::new(), name: format!("carts-{number}.example:7000") }
}

fn ring(count: usize, sharing: Sharing) -> Ring {
    Ring::new((1..=count).map(member).collect(), sharing)
}

/// Ids as the shop makes them: of time and chance, so of many equal bits.
fn key(number: u64) -> [u8; 16] {
    let random = mix(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (u128::from(1_700_000_000_000 + number / 50) << 80 | 7 << 76 | 2 << 62 | u128::from(random >> 2)).to_be_bytes()
}

/// The fullest member's keys by the mean.
fn unevenness(ring: &Ring) -> f64 {
    let mut held = vec![0_u32; ring.members.len()];
    for number in 0..KEYS {
        ring.primaries(vnode(&key(number))).for_each(|member| held[member] += 1);
    }
    let mean = f64::from(held.iter().sum::<u32>()) / held.len() as f64;
    f64::from(held.into_iter().max().unwrap()) / mean
}

/// The share of places that change from one ring to another, and how many of them change between members of both.
fn moved(from: &Ring, to: &Ring) -> (f64, usize) {
    let (mut moved, mut between_old) = (0, 0);
    for vnode in 0..=u16::MAX {
        let before = &from.members[from.primaries(vnode).next().unwrap()].name;
        let after = &to.members[to.primaries(vnode).next().unwrap()].name;
        if before != after {
            moved += 1;
            between_old += usize::from(to.number_of(before).is_some() && from.number_of(after).is_some());
        }
    }
    (f64::from(moved) / VNODES as f64, between_old)
}

/// One set of names is one draw: at 100 nodes a node's keys vary by 6 % (4 % of that because 600 keys are few, the rest
/// because they lie in 655 virtual nodes), so the fullest of 100 is a matter of luck. The bound is asked of the mean of some
/// sets of names, and the table shows the worst of them too. What a join moves is some 649 virtual nodes at 100 nodes,
/// give or take 4 %, so the 5 % of MEM-1 are asked of a mean as well.
#[test]
fn the_ring_is_even_and_moves_no_more_than_it_must() {
    println!("| nodes | max/mean, 1 copy (worst) | 3 copies (worst) | moved by a join | ideal | by a leave | ideal |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for count in SIZES {
        let (samples, bound) = (6, if count <= 16 { 1.05 } else { 1.15 });
        let (mut one, mut three, mut joined, mut left) = (Vec::new(), Vec::new(), 0.0, 0.0);
        for sample in 1..=samples {
            let mut members: Vec<_> = (1..=count).map(|number| member(number + 1_000 * sample)).collect();
            let ring = Ring::new(members.clone(), Sharing::Nothing);
            one.push(unevenness(&ring));
            three.push(unevenness(&Ring::new(members.clone(), Sharing::Something(3))));
            members.push(member(0));
            let more = Ring::new(members.clone(), Sharing::Nothing);
            let (join, between_old) = moved(&ring, &more);
            assert_eq!(between_old, 0, "a join moved something between old members of {count}");
            members.swap_remove(sample % count);
            let (leave, between_old) = moved(&more, &Ring::new(members, Sharing::Nothing));
            assert_eq!(between_old, 0, "a leave moved something between the {count} others");
            joined += join / samples as f64;
            left += leave / samples as f64;
        }
        let worst = |all: &[f64]| all.iter().copied().fold(0.0, f64::max);
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        // The leave is one of count + 1, so both have one ideal.
        let ideal = 1.0 / (count + 1) as f64;
        println!(
            "| {count} | {:.3} ({:.3}) | {:.3} ({:.3}) | {:.2} % | {:.2} % | {:.2} % | {:.2} % |",
            mean(&one),
            worst(&one),
            mean(&three),
            worst(&three),
            joined * 100.0,
            ideal * 100.0,
            left * 100.0,
            ideal * 100.0
        );
        assert!(mean(&one) <= bound && mean(&three) <= bound, "{count} nodes: {one:?} and {three:?} are over {bound}");
        assert!((joined / ideal - 1.0).abs() <= 0.05, "{count} nodes: a join moves {joined}");
        assert!((left / ideal - 1.0).abs() <= 0.05, "{count} nodes: a leave moves {left}");
    }
}

#[test]
fn places_are_a_function_of_the_members_alone() {
    let mut members: Vec<_> = (1..=7).map(member).collect();
    let one = Ring::new(members.clone(), Sharing::Something(3));
    members.reverse();
    members.push(member(4));
    let two = Ring::new(members.clone(), Sharing::Something(3));
    assert_eq!((one.view(), &one.table), (two.view(), &two.table));
    members.push(member(8));
    assert_ne!(one.view(), Ring::new(members, Sharing::Something(3)).view());
    // Were these to change, nodes of two releases would not find each other's entries.
    assert_eq!(vnode(b"Dombey and Son"), 20_494);
    assert_eq!(one.primaries(7).collect::<Vec<_>>(), [6, 0, 1]);
}

#[test]
fn the_preference_list_begins_with_the_primaries_and_names_each_member_of_the_site_once() {
    for (sharing, copies) in [(Sharing::Nothing, 1), (Sharing::Something(3), 3), (Sharing::Everything, 7)] {
        let ring = ring(7, sharing);
        for vnode in [0, 1, 40_000, u16::MAX] {
            let (kept, order) = ring.preference(0, vnode);
            let primaries: Vec<_> = ring.primaries(vnode).collect();
            let mut each = order.clone();
            each.sort_unstable();
            assert_eq!((kept, each), (copies, (0..7).collect()));
            assert!(order[..copies].iter().all(|member| primaries.contains(member)) && primaries.len() == copies);
        }
        assert_eq!(ring.is_everything(), copies == 7);
    }
}

#[test]
fn each_site_has_its_own_primaries_whatever_the_other_site_does() {
    let at = |site: &str, count: usize| {
        let member = move |number| Member { site: site.to_owned(), name: format!("{site}-{number}:1") };
        (1..=count).map(member).collect::<Vec<_>>()
    };
    let two = Ring::new([at("seattle", 4), at("london", 3)].concat(), Sharing::Something(2));
    let london = Ring::new(at("london", 3), Sharing::Something(2));
    for vnode in (0..=u16::MAX).step_by(97) {
        let names: Vec<_> = two.primaries(vnode).map(|member| &two.members[member]).collect();
        assert_eq!(names.len(), 4);
        assert!(names[..2].iter().all(|member| member.site == "london"));
        let (copies, order) = two.preference(0, vnode);
        assert_eq!((copies, order.len()), (2, 3));
        let alone: Vec<_> = london.primaries(vnode).map(|member| &london.members[member]).collect();
        assert_eq!(names[..2], alone);
    }
    // Sites as small as the copies need no table, and a larger one beside a small one does.
    assert!(Ring::new([at("seattle", 2), at("london", 2)].concat(), Sharing::Something(3)).is_everything());
    assert!(!Ring::new([at("seattle", 2), at("london", 4)].concat(), Sharing::Something(3)).is_everything());
}

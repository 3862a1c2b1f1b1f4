//! The order in which stages run.

/// An order in which every stage comes after those it reads, keeping the file's order where it can; or a cycle, as
/// the indices along it.
pub(super) fn topological(from: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut order = Vec::with_capacity(from.len());
    let mut placed = vec![false; from.len()];
    while order.len() < from.len() {
        match (0..from.len()).find(|&i| !placed[i] && from[i].iter().all(|&f| placed[f])) {
            Some(next) => {
                placed[next] = true;
                order.push(next);
            }
            None => return Err(cycle(from, &placed)),
        }
    }
    Ok(order)
}

/// Follows unplaced inputs until a stage comes again: every unplaced stage reads one.
fn cycle(from: &[Vec<usize>], placed: &[bool]) -> Vec<usize> {
    let mut path = Vec::new();
    let mut at = placed.iter().position(|p| !p).unwrap_or(0);
    while !path.contains(&at) {
        path.push(at);
        match from[at].iter().find(|&&f| !placed[f]) {
            Some(&next) => at = next,
            None => return path,
        }
    }
    let start = path.iter().position(|&p| p == at).unwrap_or(0);
    path.drain(..start);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_files_order_where_it_can() {
        assert_eq!(topological(&[vec![], vec![0], vec![0], vec![1, 2]]), Ok(vec![0, 1, 2, 3]));
        assert_eq!(topological(&[vec![1], vec![]]), Ok(vec![1, 0]));
    }

    #[test]
    fn names_a_cycle_and_not_what_leads_to_it() {
        assert_eq!(topological(&[vec![1], vec![2], vec![1]]), Err(vec![1, 2]));
        assert_eq!(topological(&[vec![0]]), Err(vec![0]));
    }
}

// Builds, prints, evaluates and sorts random expressions, for ever: recursion, trait objects'
// formatting, allocation and hashing of Rust's standard library.
use std::collections::HashMap;

#[derive(Debug)]
enum Expression {
    Number(i64),
    Binary(Box<Expression>, char, Box<Expression>),
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *state >> 33
}

fn build(depth: u32, state: &mut u64) -> Expression {
    if depth == 0 {
        return Expression::Number(random(state) as i64 % 1000);
    }
    let operator = if random(state) % 2 == 0 { '+' } else { '*' };
    Expression::Binary(
        Box::new(build(depth - 1, state)),
        operator,
        Box::new(build(depth - 1, state)),
    )
}

fn evaluate(expression: &Expression) -> i64 {
    match expression {
        Expression::Number(n) => *n,
        Expression::Binary(a, '+', b) => evaluate(a).wrapping_add(evaluate(b)),
        Expression::Binary(a, _, b) => evaluate(a).wrapping_mul(evaluate(b)),
    }
}

fn main() {
    let mut state = 1;
    let mut seen: HashMap<String, i64> = HashMap::new();
    loop {
        let expression = build(9, &mut state);
        let text = format!("{:?}", expression);
        *seen.entry(text).or_insert(0) += evaluate(&expression);
        let mut sorted: Vec<_> = seen.iter().collect();
        sorted.sort();
        if sorted.len() > 200 {
            seen.clear();
        }
    }
}

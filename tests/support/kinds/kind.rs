// Closures, a trait object and, every now and then, a panic that is caught.
trait Work {
    fn run(&self, n: u64) -> u64;
}

struct Spin;

impl Work for Spin {
    #[inline(never)]
    fn run(&self, n: u64) -> u64 {
        let mut x = n;
        for i in 0..40000u64 {
            x = std::hint::black_box(x.wrapping_mul(3).wrapping_add(i));
        }
        x
    }
}

#[inline(never)]
fn kind_middle(work: &dyn Work, n: u64) -> u64 {
    let a = work.run(n);
    std::hint::black_box(a) + 1
}

#[inline(never)]
fn kind_outer(work: &dyn Work) -> u64 {
    let mut sum = 0u64;
    for i in 0..4 {
        sum = sum.wrapping_add(kind_middle(work, i));
    }
    std::hint::black_box(sum)
}

extern "C" {
    fn prctl(option: i32, name: *const u8) -> i32;
    fn clock() -> i64; // CPU time, in microseconds
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let name = format!("{}\0", arguments[1]);
    unsafe { prctl(15, name.as_ptr()) };
    let end = arguments[2].parse::<i64>().unwrap() * 1000;
    let work: Box<dyn Work> = std::hint::black_box(Box::new(Spin));
    while unsafe { clock() } < end {
        kind_outer(&*work);
    }
}

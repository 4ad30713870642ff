// Compiled at run time.
function kindLeaf(n) {
  for (let i = 0; i < 20000; i++) n = (n * 3 + i) | 0;
  return n;
}
function kindMiddle(n) {
  return kindLeaf(n) + 1;
}
function kindOuter(n) {
  let sum = 0;
  for (let i = 0; i < 10; i++) sum += kindMiddle(n + i);
  return sum;
}
const end = process.cpuUsage().user + 1000 * Number(process.argv[3]);
let sum = 0;
while (process.cpuUsage().user < end) sum += kindOuter(sum);
process.exitCode = sum === 0.5 ? 1 : 0;

// Interpreted and compiled JavaScript, V8's builtins and node's C++, for ever.
const zlib = require('zlib');
const crypto = require('crypto');

function fibonacci(n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

for (;;) {
  fibonacci(20);
  const numbers = [...Array(300).keys()];
  JSON.parse(JSON.stringify(numbers.map((i) => ({ i, name: 'x' + i }))));
  crypto.createHash('sha256').update('x'.repeat(10000)).digest();
  zlib.gzipSync(Buffer.alloc(20000, 'abc'));
  numbers.sort((a, b) => b - a);
  'aaab'.repeat(100).replace(/a+b/g, (match) => match.length);
}

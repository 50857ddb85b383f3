// What util.parseEnv (argument: node) or dotenv of npm (argument: npm) reads of
// each file that standard input names: a line of JSON each, names with values in
// hex.
const fs = require('node:fs')

const parse = process.argv[2] === 'npm'
  ? (file) => require('dotenv').parse(fs.readFileSync(file))
  : (file) => require('node:util').parseEnv(fs.readFileSync(file, 'utf8'))
const lines = fs.readFileSync(0, 'utf8').split('\n').filter((file) => file).map((file) => {
  const read = Object.entries(parse(file)).map(([name, value]) => [name, Buffer.from(value).toString('hex')])
  return JSON.stringify(Object.fromEntries(read)) + '\n'
})
fs.writeSync(1, lines.join(''))

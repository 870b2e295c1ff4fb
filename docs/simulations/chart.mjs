// Draws line charts as SVG for light and dark mode: panels below each other, each with lines over time.
const WIDTH = 760;
const LEFT = 64;
const RIGHT = 16;
const HEAD = 34;
const PLOT = 130;
const FOOT = 34;

const STYLE = `
  svg { color-scheme: light dark; font: 12px system-ui, sans-serif; }
  .back { fill: #ffffff; } text { fill: #1f2430; } .grid { stroke: #d5d9e0; } .title { font-weight: 600; }
  .a { stroke: #8a6d00; } .b { stroke: #0b62c4; } .c { stroke: #5b6472; stroke-dasharray: 5 4; }
  path { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
  @media (prefers-color-scheme: dark) {
    .back { fill: #12151b; } text { fill: #e6e9ef; } .grid { stroke: #39404d; }
    .a { stroke: #e8c14a; } .b { stroke: #6db3ff; } .c { stroke: #a3adbd; }
  }`;

const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);
const round = (value) => Math.round(value * 10) / 10;

// Distance of the grid lines: the first of 1, 2, 5, 10, … from a quarter of the highest value on. This gives three to
// five lines.
function step(highest) {
  const power = 10 ** Math.floor(Math.log10(highest / 4));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => highest / n <= 5);
}

// panels: [{title, unit, seconds, lines: [{name, values, style: 'a' | 'b' | 'c'}]}]; one value per step of `seconds`.
export function chart({ title, panels }) {
  const height = (HEAD + PLOT + FOOT) * panels.length;
  const drawn = panels.map((panel, i) => `<g transform="translate(0 ${i * (HEAD + PLOT + FOOT)})">${draw(panel)}</g>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">
<style>${STYLE}
</style>
<rect class="back" width="${WIDTH}" height="${height}"/>
${drawn.join('\n')}
</svg>
`;
}

function draw({ title, unit, seconds, lines }) {
  const length = Math.max(...lines.map(({ values }) => values.length));
  const highest = Math.max(...lines.flatMap(({ values }) => values));
  const width = WIDTH - LEFT - RIGHT;
  const x = (i) => round(LEFT + (i / (length - 1)) * width);
  const y = (value) => round(HEAD + PLOT - (value / highest) * PLOT);
  const parts = [`<text class="title" x="${LEFT}" y="16">${escaped(title)}</text>`];
  for (let value = 0; value <= highest; value += step(highest)) {
    parts.push(`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}"/>`);
    parts.push(`<text x="${LEFT - 8}" y="${y(value) + 4}" text-anchor="end">${value.toLocaleString('en')}</text>`);
  }
  const every = step(length * seconds);
  for (let at = 0; at <= (length - 1) * seconds; at += every) {
    parts.push(`<text x="${x(at / seconds)}" y="${HEAD + PLOT + 16}" text-anchor="middle">${at} s</text>`);
  }
  parts.push(`<text x="${LEFT - 8}" y="${HEAD - 10}" text-anchor="end">${escaped(unit)}</text>`);
  let at = WIDTH - RIGHT;
  for (const { name, style } of [...lines].reverse()) {
    parts.push(`<text x="${at}" y="16" text-anchor="end">${escaped(name)}</text>`);
    at -= name.length * 6.4 + 30;
    parts.push(`<path class="${style}" d="M${at + 4} 12h20"/>`);
    at -= 8;
  }
  for (const { values, style } of lines) {
    parts.push(`<path class="${style}" d="${values.map((value, i) => `${i === 0 ? 'M' : 'L'}${x(i)} ${y(value)}`).join('')}"/>`);
  }
  return parts.join('\n');
}

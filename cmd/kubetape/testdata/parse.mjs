// node parse.mjs PLAYER CAST: prints what asciinema-player's own parser makes of an
// asciicast. The package does not export the parser, so a copy of the module that
// holds it gets one more line.
import { mkdtempSync, readdirSync, readFileSync, writeFileSync, copyFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [player, cast] = process.argv.slice(2);
const dist = join(player, "dist");
const dir = mkdtempSync(join(tmpdir(), "asciinema-player-"));
try {
  writeFileSync(join(dir, "package.json"), '{"type":"module"}');
  let core;
  for (const name of readdirSync(dist).filter((n) => n.endsWith(".js"))) {
    copyFileSync(join(dist, name), join(dir, name));
    const text = readFileSync(join(dist, name), "utf8");
    const parser = text.match(/async function (parse[$\w]*)\(data\) \{\s+if \(data instanceof Response\)/);
    if (parser && name.startsWith("core")) {
      core = join(dir, name);
      writeFileSync(core, `${text}\nexport { ${parser[1]} as parseAsciicast };\n`);
    }
  }
  const { parseAsciicast } = await import(pathToFileURL(core));
  const { cols, rows, events } = await parseAsciicast(new Response(readFileSync(cast)));
  console.log(JSON.stringify({ cols, rows, events: Array.from(events.toArray ? events.toArray() : events) }));
} finally {
  rmSync(dir, { recursive: true });
}

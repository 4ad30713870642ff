// import.mjs PROFILE CHROMIUM: load a profile into speedscope as its command line does (a script
// that calls loadFileFromBase64), export it from there in speedscope's own format, and print what
// speedscope has understood: {"profiles": [{"name", "unit", "total"}], "self": {name: value}}.
import { chromium } from 'playwright-core';
import { createRequire } from 'node:module';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [profile, executablePath] = process.argv.slice(2);
const release = path.join(
	path.dirname(createRequire(import.meta.url).resolve('speedscope/package.json')), 'dist/release');

// The export has events: a frame opens or closes at a value; what lies between two events is the
// innermost open frame's own.
function selfValues(exported)
{
	const self = {};
	for (const one of exported.profiles) {
		const open = [];
		let last = one.startValue;
		for (const event of one.events) {
			if (open.length && event.at > last) {
				const name = exported.shared.frames[open[open.length - 1]].name;
				self[name] = (self[name] ?? 0) + event.at - last;
			}
			last = event.at;
			if (event.type === 'O')
				open.push(event.frame);
			else
				open.pop();
		}
	}
	return self;
}

async function exportFrom(page, index, script)
{
	await page.goto(`${pathToFileURL(index)}#localProfilePath=${script}`);
	const button = page.getByText('Export', { exact: false }).first();
	await button.waitFor({ timeout: 60000 });
	const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
	return JSON.parse(fs.readFileSync(await download.path(), 'utf8'));
}

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'cprof-speedscope-'));
const script = path.join(directory, 'profile.js');
const name = JSON.stringify(path.basename(profile));
const base64 = JSON.stringify(fs.readFileSync(profile).toString('base64'));
fs.writeFileSync(script, `speedscope.loadFileFromBase64(${name}, ${base64})`);

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--allow-file-access-from-files'] });
try {
	const page = await (await browser.newContext({ acceptDownloads: true })).newPage();
	const exported = await exportFrom(page, path.join(release, 'index.html'), script);
	console.log(JSON.stringify({
		profiles: exported.profiles.map((one) => ({
			name: one.name,
			unit: one.unit,
			total: one.endValue - one.startValue,
		})),
		self: selfValues(exported),
	}));
} finally {
	await browser.close();
	fs.rmSync(directory, { recursive: true });
}

'use strict';
// Work for node whose output does not depend on timing.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto'), zlib = require('zlib'), fs = require('fs'), child = require('child_process'), net = require('net');

function load(n) {
    const map = new Map();
    for (let i = 0; i < 20000; i++) map.set('k' + ((i * 7919 + n) % 3001), { i, s: 'x'.repeat(i % 50) });
    return [...map.values()].reduce((s, v) => s + v.i + v.s.length, 0);
}

if (!isMainThread) {
    const buffer = Buffer.alloc(1 << 20, workerData);
    parentPort.postMessage([load(workerData), crypto.createHash('sha1').update(buffer).digest('hex')]);
    return;
}

const worker = n => new Promise((done, fail) => {
    const w = new Worker(__filename, { workerData: n });
    w.on('message', done).on('error', fail);
});

async function main() {
    console.log(load(0), JSON.stringify(await Promise.all([1, 2, 3, 4].map(worker))));
    const text = JSON.stringify(Array.from({ length: 20000 }, (_, i) => ({ i, t: 't' + i })));
    const packed = await Promise.all([1, 5, 9].map(level => new Promise((d, f) => zlib.gzip(text, { level }, (e, b) => e ? f(e) : d(b)))));
    console.log(packed.map(b => zlib.gunzipSync(b).length), text.length);
    const keys = await Promise.all(Array.from({ length: 16 }, (_, i) => new Promise((d, f) => crypto.pbkdf2('p' + i, 's', 2000, 32, 'sha256', (e, k) => e ? f(e) : d(k.toString('hex'))))));
    console.log(crypto.createHash('md5').update(keys.join()).digest('hex'));
    let buffers = [];
    for (let i = 0; i < 3000; i++) { buffers.push(Buffer.alloc(10000 + i, i)); if (buffers.length > 100) buffers = buffers.slice(50); }
    console.log(buffers.length, buffers.reduce((s, b) => s + b[5], 0));
    const server = net.createServer(s => s.pipe(s)).listen(0, '127.0.0.1');
    await new Promise(d => server.on('listening', d));
    const echo = n => new Promise((d, f) => {
        let got = 0;
        const c = net.connect(server.address().port, '127.0.0.1', () => c.end(Buffer.alloc(50000 + n, n)));
        c.on('data', b => { got += b.length; }).on('close', () => d(got)).on('error', f);
    });
    console.log((await Promise.all(Array.from({ length: 20 }, (_, n) => echo(n)))).join(' '));
    server.close();
    console.log(child.execFileSync('sort', ['-r'], { input: 'a\nc\nb\n' }).toString().split('\n').join(' '));
    console.log((await fs.promises.readFile(__filename, 'utf8')).split('\n')[0], eval('[1,2,3].map(x => x ** 2)').join());
}
main().catch(e => { console.log('failed', e); process.exit(1); });

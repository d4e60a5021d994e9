// A model exported by dermtl in Node, with onnxruntime-web alone (WebAssembly, no native code):
//   npm install onnxruntime-web
//   node predict.mjs model.onnx picture.ppm
// The host's part is decoding. To stay without further packages this reads binary PPM (P6); a server would use a JPEG
// decoder of its choice, and hand over RGB bytes, upright.
import { readFile } from "node:fs/promises";
import * as ort from "onnxruntime-web";

const [modelPath, ...pictures] = process.argv.slice(2);
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(new Uint8Array(await readFile(modelPath)));
for (const path of pictures) {
  const { width, height, pixels } = readPpm(await readFile(path));
  const image = new ort.Tensor("uint8", pixels, [1, height, width, 3]);
  const outputs = await session.run({ image });
  const answer = { image: path };
  for (const name of session.outputNames) {
    const { dims, data } = outputs[name];
    const isMask = dims.length === 4;
    answer[name] = isMask ? { dims: Array.from(dims, Number), sum: data.reduce((a, b) => a + b, 0) } : Array.from(data);
  }
  console.log(JSON.stringify(answer));
}

function readPpm(file) {
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(file.subarray(0, 64).toString("latin1"));
  if (!header) throw new Error("expected a binary PPM (P6) with 255 levels");
  const [text, width, height] = header;
  return { width: Number(width), height: Number(height), pixels: new Uint8Array(file.subarray(text.length)) };
}

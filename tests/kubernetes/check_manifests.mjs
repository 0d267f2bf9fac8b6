// Checks Kubernetes objects, a JSON list on standard input, against the published schemas, and finds
// the fields that no schema knows: an API server drops those, or refuses the object when it is strict,
// while the published validators pass them over.
//
//     node check_manifests.mjs FOLDER   (with node_modules) prints a JSON list of {path, message}
//
// A validator reads every field that its schema knows by name, present or not, and every entry of a
// map. So each object is handed to it in a wrapper that notes what is read; what is there and was not
// read is unknown.
import fs from "node:fs";
import path from "node:path";
import {pathToFileURL} from "node:url";

const modules = path.join(process.argv[2], "node_modules");
const packages = ["kubernetes-models", "@kubernetes-models/prometheus-operator"];

async function validatorOf(apiVersion, kind) {
  for (const name of packages) {
    const file = path.join(modules, name, apiVersion, `${kind}.js`);
    if (!fs.existsSync(file)) continue;
    const schema = fs.readFileSync(file, "utf8").match(/from"([^"]*_schemas\/[^"]*)"/)[1];
    const loaded = await import(pathToFileURL(path.resolve(path.dirname(file), schema)));
    return loaded.validate;
  }
  return null;
}

function watched(value, place, reads) {
  if (value === null || typeof value !== "object") return value;
  const known = new Set();
  reads.push({value, place, known});
  const copies = new Map();
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === "symbol" || (Array.isArray(target) && key === "length")) return target[key];
      known.add(key);
      if (!Object.hasOwn(target, key)) return target[key];
      if (!copies.has(key)) copies.set(key, watched(target[key], `${place}/${key}`, reads));
      return copies.get(key);
    },
  });
}

function unknownFields(reads) {
  return reads.flatMap(({value, place, known}) => Object.keys(value)
    .filter((key) => !known.has(key))
    .map((key) => ({path: `${place}/${key}`, message: "no schema knows this field"})));
}

async function check(object) {
  const name = `${object.kind}/${object.metadata?.name}`;
  const validate = await validatorOf(object.apiVersion ?? "", object.kind ?? "");
  if (!validate) return [{path: name, message: `no schema for ${object.apiVersion} ${object.kind}`}];
  const reads = [];
  const good = validate(watched(object, name, reads));
  const broken = good ? [] : validate.errors.map((error) => (
    {path: name + error.instancePath, message: `${error.keyword} ${JSON.stringify(error.params)}`}));
  return [...broken, ...unknownFields(reads)];
}

const objects = JSON.parse(fs.readFileSync(0, "utf8"));
const found = [];
for (const object of objects) found.push(...await check(object));
console.log(JSON.stringify(found));

import { dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { layers } from './layers.mjs'

const sourceRoot = resolve(dirname(fileURLToPath(import.meta.url)), '../../src')

/** The folder of src/ that a file lives in, or undefined for a file outside it. */
function layerOf(file) {
  const path = relative(sourceRoot, file)
  return path.startsWith('..') ? undefined : path.split('/')[0]
}

const layersRule = {
  create(context) {
    const from = layerOf(context.filename)
    if (from === undefined) return {}
    const check = (node) => {
      const source = node.source?.value
      if (typeof source !== 'string' || !source.startsWith('.')) return
      const to = layerOf(resolve(dirname(context.filename), source))
      if (to === from) return
      const allowed = layers[from] ?? []
      if (to === undefined || !allowed.includes(to)) {
        context.report({ node, message: `${from}/ may not import ${to ?? source} (tools/lint/layers.mjs)` })
      }
    }
    return {
      ImportDeclaration: check,
      ImportExpression: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
    }
  },
}

export default { meta: { name: 'local' }, rules: { layers: layersRule } }

// All literal listen paths of a port as one compressed tree: the cost of a look-up is the length of the path that is
// matched, however many definitions there are and however long the caller's path is.
// Must not know: what is kept at a path. Runs: one walk per decision.

class Node<T> {
  edge: string;
  value: T | null = null;
  /** By the first character of the child's edge. */
  children = new Map<number, Node<T>>();

  constructor(edge: string) {
    this.edge = edge;
  }
}

export class PrefixTree<T> {
  readonly #root = new Node<T>("");

  /** The value kept at exactly this path, made on first use. */
  at(path: string, make: () => T): T {
    const node = this.#nodeAt(path);
    node.value ??= make();
    return node.value;
  }

  /** Calls with the value of every kept path that `path` begins with, shortest first. */
  walk(path: string, visit: (value: T) => void): void {
    let node: Node<T> | undefined = this.#root;
    let at = 0;
    while (node !== undefined) {
      if (node.value !== null) visit(node.value);
      if (at >= path.length) return;
      node = node.children.get(path.charCodeAt(at));
      if (node === undefined || !path.startsWith(node.edge, at)) return;
      at += node.edge.length;
    }
  }

  #nodeAt(path: string): Node<T> {
    let node = this.#root;
    let at = 0;
    while (at < path.length) {
      const next = node.children.get(path.charCodeAt(at));
      if (next === undefined) {
        const leaf = new Node<T>(path.slice(at));
        node.children.set(path.charCodeAt(at), leaf);
        return leaf;
      }
      const shared = sharedLength(next.edge, path, at);
      if (shared < next.edge.length) split(next, shared);
      node = next;
      at += shared;
    }
    return node;
  }
}

function sharedLength(edge: string, path: string, at: number): number {
  let n = 0;
  while (n < edge.length && at + n < path.length && edge.charCodeAt(n) === path.charCodeAt(at + n)) n++;
  return n;
}

// The upper half keeps its place in its parent; the lower half becomes its only child.
function split<T>(node: Node<T>, length: number): void {
  const below = new Node<T>(node.edge.slice(length));
  below.value = node.value;
  below.children = node.children;
  node.edge = node.edge.slice(0, length);
  node.value = null;
  node.children = new Map([[below.edge.charCodeAt(0), below]]);
}

// Reads the server's answers, or those inside a snapshot.
interface Snapshot { taken: number; answers: Record<string, unknown> }

const inside = document.getElementById('snapshot')?.textContent;
export const snapshot: Snapshot | null = inside ? (JSON.parse(inside) as Snapshot) : null;

const AT_ONCE = 6;
const SECONDS = 60;
let running = 0;
const waiting: (() => void)[] = [];

async function slot(): Promise<() => void> {
  if (running >= AT_ONCE) await new Promise<void>((go) => waiting.push(go));
  running += 1;
  return () => {
    running -= 1;
    waiting.shift()?.();
  };
}

export async function read<T>(path: string, parameters: URLSearchParams = new URLSearchParams(), signal?: AbortSignal): Promise<T> {
  if (snapshot) {
    if (!(path in snapshot.answers)) throw new Error('This part is not in the snapshot.');
    return structuredClone(snapshot.answers[path]) as T;
  }
  const release = await slot();
  try {
    signal?.throwIfAborted();
    const limits = [AbortSignal.timeout(SECONDS * 1000), ...(signal ? [signal] : [])];
    const response = await fetch(`/api/${path}?${parameters}`, { signal: AbortSignal.any(limits) });
    const text = await response.text();
    if (response.ok) return JSON.parse(text) as T;
    throw new Error(response.headers.get('content-type')?.includes('json') ? JSON.parse(text).error : text.trim());
  } catch (error) {
    if (error instanceof TypeError) throw new Error('The server of this page does not answer. Is `sidelight view` still running?');
    if (error instanceof DOMException && error.name === 'TimeoutError') throw new Error(`There was no answer within ${SECONDS} s.`);
    throw error;
  } finally {
    release();
  }
}

// The public names of sealcast-client; ../docs/client.md describes them, index.d.ts types them.
export { cellOf } from './cells.js';
export { createClient } from './client.js';
export { SealcastError } from './errors.js';
export { isSampled, samplingBucket, tierOf } from './sampling.js';
export { ably } from './drivers/ably.js';
export { mqtt } from './drivers/mqtt.js';
export { sse } from './drivers/sse.js';
export { supabase } from './drivers/supabase.js';

// The compression middleware of express.
import compression from 'compression';

export const compress = () => compression({ threshold: 0 });

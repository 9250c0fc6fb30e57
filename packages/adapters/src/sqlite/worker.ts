// The thread that has the file open: started by `sqliteStores()`, never imported.

import { parentPort, workerData } from 'node:worker_threads'
import { serve } from './serve.ts'

if (parentPort) serve(parentPort, workerData)

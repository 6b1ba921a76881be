// Every bound of the product in one place, each with its reason. Exceeding one is a clear error, never a surprise.

export const limits = {
  /** Workflow source, so that a parse stays under a tenth of a second. */
  workflowBytesMax: 1024 * 1024,
  /** Tasks of a workflow, handlers included. */
  tasksMax: 2000,
  forEachItemsMax: 100_000,
  /** JSON text of all inputs of an execution. */
  inputBytesMax: 1024 * 1024,
  /** JSON text of a task's inline output; larger results are artifacts. */
  outputBytesMax: 1024 * 1024,
  /** Larger values in event payloads are stored once, as blobs. */
  payloadValueBytesMax: 16 * 1024,
  /** Larger blobs are files beside the database. */
  blobRowBytesMax: 1024 * 1024,
  logLineBytesMax: 64 * 1024,
  logAttemptBytesMax: 64 * 1024 * 1024,
  /** One file that a task leaves behind. */
  artifactBytesMax: 1024 * 1024 * 1024,
  /** Different denials of one attempt that are told; a task that probes a whole disk must not fill the trace. */
  denialsMax: 100,
  /** Of a denial's target: as long as a path may be. */
  denialTargetUnitsMax: 4096,
  /** `stdout` of a `run:` task keeps its last part. */
  stdoutOutputBytesMax: 64 * 1024,
  bodyBytesMax: 1024 * 1024,
  /** Operations in one transaction: keeps the longest stall of the event loop in milliseconds. */
  commitOperationsMax: 256,
  /** Times that `catchUp: all` or one backfill starts: more would fill the queue for hours. */
  catchUpRunsMax: 1000,
  /** Missed times of one downtime that are told of one by one; older ones are told of together. */
  missedRunsMax: 100,
  /** How long it is kept which times of a trigger were started, and so how far back a backfill reaches: a year. */
  backfillMsMax: 366 * 86_400_000,
  /** How long the id of a webhook's delivery is kept: senders give up repeating after days. */
  deliveryMsMax: 7 * 86_400_000,
  /** Files that one place of a file trigger may have: each is looked at every few seconds. */
  watchedFilesMax: 10_000,
  /** Entries of folders that are read on the way to them. */
  watchedEntriesMax: 100_000,
  /** Folders that the kernel tells changes of, for one trigger; others are looked at every few seconds. */
  watchedFoldersMax: 100,
  /** How long a file is remembered that is not there any more: network folders may be away for a while. */
  goneFileMsMax: 30 * 86_400_000,
  /** Executions that may wait for a place. */
  queueMax: 10_000,
  expressionMsMax: 100,
  expressionStepsMax: 1_000_000,
  expressionCharsMax: 64 * 1024,
  finallyMsMax: 5 * 60_000,
  workflowRunDepthMax: 10,
  /** One secret: a key chain fits, a file does not. */
  secretBytesMax: 64 * 1024,
  /** Shorter values would be found in every second word: they are not masked. */
  maskedBytesMin: 4,
  /** Texts in the sensitive inputs of one start: each is looked for, in all its forms, in all that the execution shows. */
  sensitiveTextsMax: 10_000,
  pageMax: 500,
  pageDefault: 50,
  waitMsMax: 60_000,
  diagnosticsMax: 200,
  /** Head of one message at the egress proxy; more is no request of a well-meaning client. */
  networkHeadBytesMax: 64 * 1024,
  /** From a connection to the end of its request's head. */
  networkHeadMsMax: 15_000,
  /** Resolving a name, and connecting to one address. */
  networkConnectMsMax: 10_000,
  networkAddressesMax: 8,
  /** Silence on an open tunnel: long, since database sessions sleep. */
  networkIdleMsMax: 3_600_000,
  /** For a client to close its side after the last byte. */
  networkLingerMsMax: 5_000,
  /** Connections of one attempt, and of clients without a token yet: each costs two descriptors. */
  networkPassConnectionsMax: 256,
  networkStrangersMax: 256,
  networkForwardersMax: 128,
  /** Longest timeout or delay: a year; beyond it timers are a mistake. */
  durationMsMax: 366 * 86_400_000,
  /** A plugin.yaml: a manifest is read by people. */
  manifestBytesMax: 256 * 1024,
  pluginActionsMax: 200,
  /** A plugin's tree is hashed whole when it is loaded: a second's work at most. */
  pluginFilesMax: 10_000,
  pluginBytesMax: 256 * 1024 * 1024,
  /** Plugins below one path, so that a list of a wrong folder ends. */
  pluginsMax: 1000,
  /** Different things that the tasks of a run under --learn are seen doing: a walk through a large tree stays in memory. */
  learnedNoticesMax: 200_000,
  /** One attempt of a task, where no block of permissions says less (plugins.md, Permissions), and the most that one can mean. */
  attempt: {
    defaults: {
      memoryMb: 512,
      cpuSeconds: null,
      processes: 64,
      openFiles: 256,
      diskMb: 1024,
      /** Written to stdout and stderr: as much as the log of an attempt keeps. */
      outputBytes: 64 * 1024 * 1024,
    },
    most: {
      /** 16 TiB: more than any machine that runs this. */
      memoryMb: 16 * 1024 * 1024,
      /** A year, as for timeouts. */
      cpuSeconds: 366 * 86_400,
      /** Linux' PID_MAX_LIMIT. */
      processes: 4 * 1024 * 1024,
      /** Linux' default of fs.nr_open: a higher limit cannot be set. */
      openFiles: 1024 * 1024,
      diskMb: 16 * 1024 * 1024,
      outputBytes: 64 * 1024 * 1024,
    },
  },
  /** Warm workers of all plugins together: each costs a Bun process, some 60 MB. */
  warmWorkersMax: 32,
  /** Calls of one worker, so that what leaks in a plugin stays small; a cold start then costs microseconds a call. */
  warmCallsMax: 1000,
  warmIdleMs: 60_000,
  /** For a busy worker: about as long as a cold start takes. */
  warmWaitMs: 20,
  /** From a result to the end of its output: a worker that does not say by then that it is done is ended. */
  warmMarkMs: 5000,
  /** Output of a container that nobody has taken yet: beyond it the container waits. */
  containerOutputBufferBytes: 1024 * 1024,
  /** `/tmp`, `/dev/shm` and each declared volume of a container; they count as its memory. */
  containerTmpBytes: 64 * 1024 * 1024,
  /** One answer of the container engine: an image's or a container's description, or a list of them. */
  engineAnswerBytesMax: 16 * 1024 * 1024,
  imagePullMsMax: 30 * 60_000,
  imagePullLinesMax: 200,
  /** Files of a backup: their list is one text in memory, some two hundred bytes each. */
  backupFilesMax: 1_000_000,
  /** A backup's manifest, which is read as a whole: that of as many files as may be in one. */
  backupManifestBytesMax: 256 * 1024 * 1024,
  /** For another process to close the store: a command that is ending, not one that works. */
  storeHoldMsMax: 2_000,
  /** One request to remove executions works so long; who asked goes on with the next. */
  cleanupMsMax: 30_000,
  /** What an import says about one source: more is read by nobody. */
  importNotesMax: 5000,
  /** Workflows made of one source, such as the lines of a crontab. */
  importWorkflowsMax: 1000,
} as const;

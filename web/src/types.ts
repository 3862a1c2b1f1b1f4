// What the API answers: the Rust types of crates/core, crates/engine and crates/server, as JSON.

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

export interface Estimate {
  mean: number;
  /** Absent ends are unbounded. */
  low: number | null;
  high: number | null;
  se: number | null;
  n: number;
}

export interface Choice {
  model: string;
  samples: number;
  aggregator: string;
  temperature: number;
}

export type Plan = Choice[];

export interface Usage {
  prompt: number;
  cached_prompt: number;
  decode: number;
  calls: number;
}

export type State = 'running' | 'done' | 'interrupted' | 'limit' | 'failed';

export interface Leader {
  trial: number;
  plan: Plan;
  objective: Estimate;
  cost: number;
}

export interface Spent {
  usage: Usage;
  seconds: number;
  share: number;
  limit: string | null;
}

export interface Glance {
  name: string;
  pipeline: string;
  method: string;
  agent: string | null;
  state: State;
  is_run: boolean;
  stop_reason: string | null;
  started_ms: number;
  seconds: number;
  trials: number;
  most_trials: number | null;
  leader: Leader | null;
  spent: Spent | null;
  last_event: number;
  last_event_ms: number | null;
  under_way: UnderWay | null;
}

/** How far a trial is; in the final test, without a trial. */
export interface UnderWay {
  trial: number | null;
  done: number;
  total: number;
}

/** How a study stands, as its stream tells it. */
export interface Standing {
  state: State;
  is_run: boolean;
  under_way: UnderWay | null;
}

export interface StageSummary {
  name: string;
  models: string[];
  samples: number[];
  metric: string | null;
}

export interface Confirmed {
  label: string;
  plan: Plan;
  objective: Estimate;
  cost: Estimate;
  failures: number;
  difference: Estimate | null;
  p?: number | null;
  verdict: string | null;
}

export type CostModel = 'paper-flops' | 'flops' | 'usd' | 'usd-batch' | 'tokens' | 'seconds';

export interface Summary {
  study: string;
  pipeline: string;
  description: string;
  method: string;
  agent: string | null;
  seed: number;
  program: string;
  models: Record<string, { model: string; revision: string }>;
  state: State;
  stop_reason: string | null;
  cost_model: CostModel;
  plan_budget: number;
  stages: StageSummary[];
  objective: string;
  space: [number, number];
  search_examples: number;
  test_examples: number;
  spend: {
    total: Usage;
    by_kind: Record<string, { usage: Usage; samples: number }>;
    usd: number | null;
    gflop: number | null;
    lost_tokens: number;
    seconds: number;
    limits: { what: string; limit: number; used: number }[];
  };
  recommended: { trial: number; plan: Plan; why: string } | null;
  confirmation: { examples: number; plans: Confirmed[]; untested?: string | null } | null;
}

export interface Study {
  glance: Glance;
  summary: Summary;
  resume_fault: string | null;
  /** Whether all that it spent is added up. */
  complete: boolean;
}

export type Fate = 'pending' | 'measured' | 'abandoned';

export interface TrialRow {
  number: number;
  round: number;
  plan: Plan;
  method: string;
  fate: Fate;
  objective: Estimate | null;
  cost: number | null;
  failures: number;
  drawn: number;
  seconds: number;
}

export interface Page<Row> {
  /** Whether all was looked through; absent = yes. */
  complete?: boolean;
  total: number;
  all: number;
  rows: Row[];
}

export interface Measurement {
  objective: Estimate;
  stages: (Estimate | null)[];
  cost: Estimate;
  failures: number;
  failure_reasons?: string[];
  /** Why it ended before its last example; absent where it did not. */
  raced_out?: unknown;
  fresh: Usage;
  drawn: Usage;
  seconds: number;
}

export interface Trial {
  number: number;
  round: number;
  plan: Plan;
  origin: { method: string; reason: string; repairs?: string[] };
  stream: number;
  state: 'pending' | { measured: Measurement } | { abandoned: string };
}

export interface TrialPage {
  trial: Trial;
  nominal: number;
  span: string | null;
  trials: number[];
  pooled: Estimate | null;
  before: number | null;
  after: number | null;
}

export interface ExampleCell {
  score: number | null;
  support: number | null;
  samples: number;
  skipped: boolean;
  output: string | null;
}

export interface ExampleRow {
  example: string;
  objective: number;
  cost: number;
  failure: string | null;
  stages: ExampleCell[];
}

export interface ExamplePage extends Page<ExampleRow> {
  stages: string[];
}

export interface Message {
  role: string;
  content: string;
}

export interface Sample {
  text: string;
  parsed: Json;
  unread: string | null;
  answer: number | null;
  finish: string;
  prompt_tokens: number;
  decode_tokens: number;
  seconds: number;
}

export interface Run {
  prompt: Message[] | null;
  samples: Sample[];
  support: number | null;
  answers: { answer: Json; votes: number; won: boolean }[];
  combined: { prompt: Message[] | null; reply: Sample } | null;
}

export interface StageLook {
  stage: string;
  choice: Choice;
  output: Json;
  score: number | null;
  skipped: boolean;
  runs: Run[];
}

export interface Trace {
  example: string;
  fields: Record<string, Json>;
  objective: number;
  cost: number;
  failure: string | null;
  stages: StageLook[];
  steps: Record<string, { output: Json; seconds: number }>;
}

export interface Progress {
  complete: boolean;
  measured: number;
  trials: { trial: number; round: number; mean: number; low: number | null; high: number | null }[];
  leads: { since: number; trial: number; mean: number; low: number | null; high: number | null; cost: number }[];
}

export interface PlanPoint {
  trial: number;
  plan: Plan;
  objective: Estimate;
  cost: Estimate;
  stands_for: number;
}

export interface Plans {
  complete: boolean;
  measured: number;
  front: PlanPoint[];
  is_believed: boolean;
  others: PlanPoint[];
  chosen: number | null;
  is_recommended: boolean;
}

export interface Credible {
  mean: number;
  low: number;
  high: number;
}

export interface Peak {
  samples: number;
  low: number;
  high: number;
}

export interface FittedCurve {
  stage: string;
  model: string;
  points: { samples: number; score: Credible; within_budget: boolean }[];
  peak: Peak | null;
  enough: number | null;
  falls: boolean;
  tried: number[];
}

export interface Factor {
  stage: string;
  part: string;
}

export interface Interplay {
  upstream: string;
  downstream: string;
  share: Credible;
  measurable: boolean;
  rows: { model: string; samples: number; best: Choice; peak: Peak | null; gain: Credible | null }[];
  models: [string[], string[]];
  departures: Credible[][];
}

export interface Explanation {
  verdict: 'measured' | 'nothing-measurable' | 'too-few-trials' | 'no-choice';
  words: string[];
  plans: number;
  spread: Credible | null;
  importance: { factor: Factor; share: Credible; best: string; worst: string; effect: Credible }[];
  pairs: { factors: [Factor, Factor]; share: Credible; levels: [string, string]; departure: Credible }[];
  rest: Credible | null;
  curves: FittedCurve[];
  interplay: Interplay[];
  rivals: { trial: number; plan: Plan; ahead: Credible; differs: string[] }[];
}

export interface ScalingCurve {
  stage: string;
  model: string;
  trial: number;
  points: { samples: number; score: Estimate }[];
}

export interface Insights {
  complete: boolean;
  missing: string | null;
  curves: ScalingCurve[];
  explanation: Explanation | null;
}

export interface Timeline {
  complete: boolean;
  total: number;
  rounds: {
    round: number;
    /** Those that steered it, written after the round before. */
    guidelines: { round: number; author: string; text: string }[];
    first: number;
    last: number;
    trials: number;
    measured: number;
    best: { trial: number; plan: Plan; objective: Estimate } | null;
    led: [number | null, number | null];
  }[];
}

export interface Compared {
  a: Trial;
  b: Trial;
  examples: number;
  comparison: { difference: Estimate; p: number; examples_needed: number | null } | null;
  finding: 'better' | 'worse' | 'not-worse' | 'not-distinguishable' | null;
  better: [number, number, number];
  different: { example: string; a: number; b: number }[];
}

export interface Answer {
  output: Json;
  stages: {
    stage: string;
    choice: Choice;
    output: Json;
    samples: string[];
    parsed: Json[];
    support: number | null;
  }[];
  cost: number;
  cost_text: string;
  usage: Usage;
  seconds: number;
}

export type Reply = { answer: Answer } | { fault: string };

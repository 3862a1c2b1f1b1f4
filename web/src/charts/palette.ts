// Colours of charts, as the style sheet has them for the reader's light or dark setting.

export interface Palette {
  ink: string;
  soft: string;
  faint: string;
  line: string;
  paper: string;
  accent: string;
  star: string;
  series: string[];
}

export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: of('ink'),
    soft: of('soft'),
    faint: of('faint'),
    line: of('line'),
    paper: of('paper'),
    accent: of('accent'),
    star: of('star'),
    series: ['k0', 'k1', 'k2', 'k3', 'k4', 'k5'].map(of),
  };
}

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
  // The property itself is both colours still: what an element shows in it is one of them.
  const probe = document.createElement('span');
  probe.hidden = true;
  document.body.append(probe);
  const of = (name: string) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const colours = {
    ink: of('ink'),
    soft: of('soft'),
    faint: of('faint'),
    line: of('line'),
    paper: of('paper'),
    accent: of('accent'),
    star: of('star'),
    series: ['k0', 'k1', 'k2', 'k3', 'k4', 'k5'].map(of),
  };
  probe.remove();
  return colours;
}

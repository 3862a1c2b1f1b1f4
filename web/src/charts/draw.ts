// Drawing with ECharts: loaded when the first chart is shown.

import { CustomChart, LineChart, ScatterChart } from 'echarts/charts';
import { GridComponent, LegendComponent, LegendScrollComponent, MarkLineComponent, TooltipComponent } from 'echarts/components';
import { type EChartsCoreOption, init, use as register } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import type { Point } from './options';

register([CustomChart, LineChart, ScatterChart, GridComponent, LegendComponent, LegendScrollComponent, MarkLineComponent, TooltipComponent, CanvasRenderer]);

export interface Drawn {
  show: (option: EChartsCoreOption) => void;
  end: () => void;
}

/** Draws into an element, and tells which trial was clicked. */
export function draw(element: HTMLElement, pick: (trial: number) => void): Drawn {
  const chart = init(element);
  chart.on('click', (at) => {
    const trial = (at.data as Partial<Point> | undefined)?.trial;
    if (trial !== undefined) pick(trial);
  });
  const watch = new ResizeObserver(() => chart.resize());
  watch.observe(element);
  return {
    show: (option) => chart.setOption(option, { notMerge: true }),
    end: () => {
      watch.disconnect();
      chart.dispose();
    },
  };
}

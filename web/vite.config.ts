import preact from '@preact/preset-vite';
import { defineConfig } from 'vitest/config';

// Names without hashes: the server embeds these files and tells browsers by ETag whether they changed.
export default defineConfig({
  base: '/assets/',
  plugins: [preact()],
  build: {
    outDir: '../crates/server/assets',
    assetsDir: '',
    emptyOutDir: true,
    modulePreload: false,
    cssCodeSplit: false,
    license: { fileName: 'licences.txt' },
    rolldownOptions: {
      output: {
        entryFileNames: 'app.js',
        chunkFileNames: '[name].js',
        assetFileNames: 'app[extname]',
        codeSplitting: { groups: [{ name: 'charts', test: /node_modules\/(echarts|zrender|tslib)|src\/charts\/draw/ }] },
      },
    },
  },
  server: { proxy: { '/api': 'http://127.0.0.1:7878' } },
  test: { include: ['src/**/*.test.ts'] },
});

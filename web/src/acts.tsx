// What may be done with a study: stopping it, and resuming it.

import { useState } from 'preact/hooks';
import { type Fault, change, faultFrom, studyApi } from './api';
import type { Glance } from './types';
import { Wrong } from './ui';

/** The buttons; `named` says the study's name with them, where there are several studies. */
export function Acts({ study, again, named = false }: { study: Glance; again: () => void; named?: boolean }) {
  const [fault, setFault] = useState<Fault>();
  const [isBusy, setBusy] = useState(false);
  const act = (what: string) => {
    setBusy(true);
    setFault(undefined);
    change(`${studyApi(study.name)}/${what}`, {})
      .then(again)
      .catch((error: unknown) => setFault(faultFrom(error)))
      .finally(() => setTimeout(() => setBusy(false), 1500));
  };
  const canResume = !study.is_run && study.state !== 'done' && study.state !== 'limit';
  const whose = named && <span class="unseen"> {study.name}</span>;
  return (
    <>
      {study.is_run && (
        <button type="button" disabled={isBusy} onClick={() => act('stop')}>
          Stop{whose}
        </button>
      )}
      {canResume && (
        <button type="button" class="primary" disabled={isBusy} onClick={() => act('resume')}>
          Resume{whose}
        </button>
      )}
      {fault !== undefined && <Wrong fault={fault} />}
    </>
  );
}

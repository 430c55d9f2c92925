import { describe, expect, it } from 'vitest';
import { CommandRunner } from '../command.js';
import { NvidiaCards, parseCards } from './nvidia-cards.js';

/** `nvidia-container-cli info --csv` of a host with two cards. */
const recorded = `NVRM version,CUDA version
470.57.02,11.4

Device Index,Device Minor,Model,Brand,GPU UUID,Bus Location,Architecture
0,0,NVIDIA A100-PCIE-40GB,Nvidia,GPU-1a2b3c4d-0000-1111-2222-333344445555,00000000:07:00.0,8.0
1,1,Tesla T4,Tesla,GPU-5a2b3c4d-0000-1111-2222-333344445555,00000000:AF:00.0,7.5
`;

describe('parseCards', () => {
  it('reads the second table', () => {
    expect(parseCards(recorded)).toEqual([
      { uuid: 'GPU-1a2b3c4d-0000-1111-2222-333344445555', pci: '0000:07:00.0' }, { uuid: 'GPU-5a2b3c4d-0000-1111-2222-333344445555', pci: '0000:af:00.0' },
    ]);
    expect(parseCards('NVRM version,CUDA version\n470.57.02,11.4\n')).toEqual([]);
  });
});

describe('checkRuntime', () => {
  it('asks for the hook of LXC and the tools of NVIDIA', () => {
    const check = (...there: string[]) => () => new NvidiaCards(new CommandRunner()).checkRuntime((path) => there.includes(path));

    expect(check()).toThrow("The NVIDIA LXC hook couldn't be found");
    expect(check('/usr/share/lxc/hooks/nvidia')).toThrow("The NVIDIA container tools couldn't be found");
    check('/usr/share/lxc/hooks/nvidia', '/usr/local/bin/nvidia-container-cli')();
  });
});

import { Injectable } from '@nestjs/common';
import { AppError, internal, Logger, messageOf } from '#kernel';
import { HostInfo, InstanceDriver, type InstanceSpec, type StartInstanceOptions, type StartResult } from '#ports';
import { InstanceCatalog, type ExpandedInstance } from './data/instance.catalog.js';
import { MemberVolatileStore } from './data/member-volatile.store.js';
import { InstanceDisks } from './instance-disks.js';
import { InstanceSpecs } from './instance-specs.js';
import { hostName } from './instance-urls.js';
import { PowerStates } from './power-states.js';
import { isLinkKey } from './rules/volatile.rules.js';
import { InstanceTemplates } from './templates/index.js';

const power = 'volatile.last_state.power';

/**
 * Starts and stops on the host, and remembers it on this member. No locks, no events: callers decide who may do what and who hears of
 * it. A call lost with the agent is settled by asking the next one.
 */
@Injectable()
export class InstanceHostPower {
  constructor(
    private readonly catalog: InstanceCatalog,
    private readonly member: MemberVolatileStore,
    private readonly states: PowerStates,
    private readonly specs: InstanceSpecs,
    private readonly driver: InstanceDriver,
    private readonly host: HostInfo,
    private readonly disks: InstanceDisks,
    private readonly templates: InstanceTemplates,
    private readonly logger: Logger,
  ) {}

  isRunning({ row }: ExpandedInstance): boolean {
    return this.states.isRunning(hostName(row));
  }

  /** Whether this member last saw it running. */
  wasRunning({ row }: ExpandedInstance): boolean {
    return this.member.get(row.id).volatile[power] === 'RUNNING';
  }

  async start(id: number, options: StartInstanceOptions = {}): Promise<void> {
    // Read again: an update may have been committed while the lock was waited for.
    const instance = this.catalog.findById(id);
    if (instance === undefined) throw internal('Instance not found');
    const config = this.catalog.fullConfig(instance);
    const modules = (config['linux.kernel_modules'] ?? '').split(',').map((name) => name.trim()).filter((name) => name !== '');
    if (modules.length > 0) await this.host.loadKernelModules(modules);
    this.disks.refuseOtherMaps(instance);
    // What goes on has its files as it left them.
    if (options.restoreState !== true) await this.templates.apply(instance);
    const started = await this.startOnHost(this.specs.build(instance), options);
    this.states.set(hostName(instance.row), 'Running', started.pid);
    this.member.merge(id, { 'volatile.apply_template': '', ...started.volatile, [power]: 'RUNNING' }, new Date().toISOString());
  }

  /** Asks it to stop; 0 waits for ever. @throws `internal` in LXD's words when it did not. */
  async shutDown({ row }: ExpandedInstance, timeoutMs: number): Promise<void> {
    const projectName = hostName(row);
    if (this.states.get(projectName).power === 'Frozen') {
      await this.driver.unfreezeInstance(projectName);
      this.states.set(projectName, 'Running');
    }
    try {
      await this.driver.stopInstance({ projectName, clean: true, timeoutMs: Math.max(0, timeoutMs) });
    } catch (error) {
      if (!AppError.is(error, 'unavailable')) throw error;
      // Time is over, or the agent died: then the instance may have stopped all the same.
      const { power: now } = await this.states.askAgain(projectName);
      if (now !== 'Stopped') throw internal(`Failed shutting down instance, status is "${now}": shutting down the container failed`, { cause: error });
    }
    this.states.set(projectName, 'Stopped', 0);
  }

  async kill({ row }: ExpandedInstance): Promise<void> {
    const request = { projectName: hostName(row), clean: false, timeoutMs: 0 };
    try {
      await this.driver.stopInstance(request);
    } catch (error) {
      if (!AppError.is(error, 'unavailable')) throw error;
      if ((await this.states.askAgain(request.projectName)).power !== 'Stopped') await this.driver.stopInstance(request);
    }
    this.states.set(request.projectName, 'Stopped', 0);
  }

  /**
   * For the host's own shutdown or evacuation: remembered as running, so that it is started again.
   * @returns whether it stopped by itself.
   */
  async stopForHost(instance: ExpandedInstance, timeoutMs: number): Promise<boolean> {
    let clean = true;
    try {
      await this.shutDown(instance, timeoutMs);
    } catch (error) {
      this.logger.warn('Failed shutting down an instance, forcing it', { instance: hostName(instance.row), error: messageOf(error) });
      await this.kill(instance);
      clean = false;
    }
    this.member.merge(instance.row.id, { [power]: 'RUNNING' });
    return clean;
  }

  async freeze({ row }: ExpandedInstance): Promise<void> {
    await this.driver.freezeInstance(hostName(row));
    this.states.set(hostName(row), 'Frozen');
  }

  async unfreeze({ row }: ExpandedInstance): Promise<void> {
    await this.driver.unfreezeInstance(hostName(row));
    this.states.set(hostName(row), 'Running');
  }

  /** It was ended by what was asked of its host for another reason. */
  noteEnd({ row }: ExpandedInstance): void {
    this.states.set(hostName(row), 'Stopped', 0);
  }

  /** What is known of links ends with the instance. */
  rememberStopped({ row: { id } }: ExpandedInstance): void {
    const links = Object.keys(this.member.get(id).volatile).filter(isLinkKey);
    this.member.merge(id, { ...Object.fromEntries(links.map((key) => [key, ''])), [power]: 'STOPPED' });
  }

  /** It runs although nobody here remembers having started it. */
  rememberRunning({ row: { id } }: ExpandedInstance): void {
    this.member.merge(id, { [power]: 'RUNNING' });
  }

  /** An agent that dies in the middle leaves an instance that runs or does not; either way it is begun again, from the start. */
  private async startOnHost(spec: InstanceSpec, options: StartInstanceOptions): Promise<StartResult> {
    try {
      return await this.driver.startInstance(spec, options);
    } catch (error) {
      if (!AppError.is(error, 'unavailable')) throw error;
      this.logger.warn('Lost the agent while starting an instance, trying again', { instance: spec.projectName, error: messageOf(error) });
      if ((await this.states.askAgain(spec.projectName)).power !== 'Stopped') {
        await this.driver.stopInstance({ projectName: spec.projectName, clean: false, timeoutMs: 0 });
      }
      return this.driver.startInstance(spec, options);
    }
  }
}

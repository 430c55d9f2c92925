import type { ArgumentMetadata, PipeTransform } from '@nestjs/common';
import { invalid } from '#kernel';
import { fitToSchema } from './body-shape.rules.js';
import { ofBody } from './refused-bodies.js';

interface StandardSchema {
  readonly '~standard': { validate(value: unknown): StandardResult | Promise<StandardResult> };
}

interface StandardResult {
  readonly value?: unknown;
  readonly issues?: readonly { readonly message: string; readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] }[];
}

/**
 * Validates `@Body({ schema })`. Wrong types are refused in the words of LXD's decoder; what only the schema knows (a length, a
 * pattern) in the schema's own. Parameters without a schema pass untouched.
 */
export class BodyPipe implements PipeTransform {
  transform(value: unknown, metadata: ArgumentMetadata): unknown {
    const { schema } = metadata as ArgumentMetadata & { schema?: StandardSchema };
    if (schema === undefined || metadata.type !== 'body') return value;
    return validateBody(schema, value);
  }
}

/** The same for a body read by other means, such as `RawRequestBody.json()`. `schema` is any Standard Schema (zod). */
export async function validateBody<T>(schema: unknown, value: unknown): Promise<T> {
  try {
    return await validated<T>(schema as StandardSchema, schema, value);
  } catch (error) {
    throw ofBody(error);
  }
}

async function validated<T>(standard: StandardSchema, schema: unknown, value: unknown): Promise<T> {
  if (value === undefined) throw invalid('EOF');
  const first = await standard['~standard'].validate(value);
  if (first.issues === undefined) return first.value as T;
  const second = await standard['~standard'].validate(fitToSchema(schema, value));
  if (second.issues === undefined) return second.value as T;
  throw invalid(second.issues.map(describeIssue).join('; '));
}

function describeIssue(issue: NonNullable<StandardResult['issues']>[number]): string {
  const path = (issue.path ?? []).map((p) => String(typeof p === 'object' ? p.key : p)).join('.');
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}
